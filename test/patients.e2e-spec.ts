import { randomUUID } from 'node:crypto';
import { call, tokenFor } from './support/api';
import { type Practice, seedPractice } from './support/practice';
import type { GateProcess } from './support/process';
import { World } from './support/world';

interface PatientBody {
  id: string;
  lastName: string;
  nextAppointment: string | null;
}

interface PatientPage {
  data: PatientBody[];
  nextCursor: string | null;
}

describe('patients', () => {
  let world: World;
  let gate: GateProcess;
  let ours: Practice;
  let theirs: Practice;
  let token: string;

  beforeAll(async () => {
    world = await World.create();
    ours = await seedPractice(world, 'ours', { patients: 25, slots: 3 });
    theirs = await seedPractice(world, 'theirs', { patients: 1, slots: 1 });
    gate = await world.start();
    token = await tokenFor(gate, {
      sub: 'user_agent',
      practice_id: ours.id,
      role: 'scheduling_agent',
      usage_plan: 'internal',
    });
  });
  afterAll(() => world.end());

  it('answers with the nine fields and no other', async () => {
    await world.sql(`ALTER TABLE patients ADD COLUMN ssn text DEFAULT '000-00-0000'`);
    const { status, body, text } = await call(gate, `/patients/${ours.patients[0] ?? ''}`, { token });
    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual([
      'id',
      'firstName',
      'lastName',
      'dateOfBirth',
      'phone',
      'email',
      'insuranceProvider',
      'nextAppointment',
      'lastVisit',
    ]);
    expect(body).toMatchObject({
      firstName: 'First1',
      dateOfBirth: '1990-01-01',
      nextAppointment: null,
      lastVisit: null,
    });
    expect(text).not.toContain('000-00-0000');
  });

  it('knows the next appointment once it is booked', async () => {
    const request = { patientId: ours.patients[1], slotId: ours.slots[0], type: 'follow_up' };
    await call(gate, '/appointments', { token, body: request, headers: { 'idempotency-key': randomUUID() } });
    const [slot] = await world.sql<{ at: Date }>('SELECT starts_at AS at FROM slots WHERE id = $1', [ours.slots[0]]);
    const { body } = await call<PatientBody>(gate, `/patients/${ours.patients[1] ?? ''}`, { token });
    expect(new Date(body.nextAppointment ?? 0)).toEqual(slot?.at);
  });

  it('forbids another practice’s patient, says nothing of it, and counts the attempt', async () => {
    const attempts = async () =>
      Number(/^cross_practice_access_attempts_total (\d+)/m.exec((await call(gate, '/metrics')).text)?.[1]);
    const before = await attempts();
    const { status, body, text } = await call(gate, `/patients/${theirs.patients[0] ?? ''}`, { token });
    expect([status, body.error]).toEqual([403, 'Forbidden']);
    expect(text).not.toContain(theirs.id);
    expect(await attempts()).toBe(before + 1);
  });

  it('does not know an id that nobody has', async () => {
    expect((await call(gate, '/patients/pat_nobody', { token })).status).toBe(404);
  });

  it('lists all of the practice by name, page by page, with no name in a cursor', async () => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const path = `/patients?limit=10${cursor === null ? '' : `&cursor=${cursor}`}`;
      const page: PatientPage = (await call<PatientPage>(gate, path, { token })).body;
      seen.push(...page.data.map(({ lastName }) => lastName));
      cursor = page.nextCursor;
      expect(Buffer.from(cursor ?? '', 'base64url').toString()).not.toContain('Last');
    } while (cursor !== null);
    expect(seen).toHaveLength(25);
    expect(seen).toEqual([...seen].sort());
  });

  it.each(['security_officer', 'operator', 'rider'])('is not for a %s', async (role) => {
    const other = await tokenFor(gate, { sub: 'user_other', practice_id: ours.id, role });
    expect((await call(gate, '/patients', { token: other })).status).toBe(403);
  });
});
