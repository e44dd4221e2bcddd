import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { call, tokenFor } from './support/api';
import { type Practice, seedPractice } from './support/practice';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { World } from './support/world';

describe('when the audit log takes nothing', () => {
  let world: World;
  let gate: GateProcess;
  let ours: Practice;
  let theirs: Practice;
  let token: string;
  let holder: Client;

  beforeAll(async () => {
    world = await World.create();
    ours = await seedPractice(world, 'ours', { patients: 1, slots: 2 });
    theirs = await seedPractice(world, 'theirs', { patients: 1, slots: 1 });
    gate = await world.start();
    token = await tokenFor(gate, {
      sub: 'user_agent',
      practice_id: ours.id,
      role: 'scheduling_agent',
      usage_plan: 'internal',
    });
    holder = await world.clientOf('superuser');
    await holder.query('BEGIN; LOCK TABLE audit_entries IN SHARE ROW EXCLUSIVE MODE');
  });
  afterAll(async () => {
    await holder.end();
    await world.end();
  });

  it('shows no patient', async () => {
    const answer = await call(gate, `/patients/${ours.patients[0] ?? ''}`, { token });
    expect([answer.status, answer.body.code, answer.headers.get('retry-after')]).toEqual([
      503,
      'audit_unavailable',
      '1',
    ]);
    expect(answer.text).not.toContain('First1');
  });

  it('books nothing', async () => {
    const body = { patientId: ours.patients[0], slotId: ours.slots[0], type: 'follow_up' };
    const answer = await call(gate, '/appointments', { token, body, headers: { 'idempotency-key': randomUUID() } });
    expect([answer.status, answer.body.code]).toEqual([503, 'audit_unavailable']);
    expect(await world.sql(`SELECT status FROM slots WHERE id = $1`, [ours.slots[0]])).toEqual([
      { status: 'available' },
    ]);
  });

  it('refuses all the same, and says that the entry is lost', async () => {
    expect((await call(gate, `/patients/${theirs.patients[0] ?? ''}`, { token })).status).toBe(403);
    const metrics = async () => (await call(gate, '/metrics')).text;
    await until(async () => /^audit_entries_lost_total 1$/m.test(await metrics()));
    expect(await metrics()).toMatch(/^cross_practice_access_attempts_total 1$/m);
    await until(() => gate.log.includes('An audit entry was lost'));
  });

  it('goes on by itself once the log is back', async () => {
    await holder.query('ROLLBACK');
    expect((await call(gate, `/patients/${ours.patients[0] ?? ''}`, { token })).status).toBe(200);
  });
});
