import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { readAnchors } from '../src/platform/audit/anchor-file';
import { verifyAudit } from '../src/platform/audit/verification';
import { call, callPatiently, tokenFor } from './support/api';
import { holdChain, waitingForChains } from './support/chains';
import { type Practice, seedPractice } from './support/practice';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { World } from './support/world';

interface Entry {
  readonly seq: number;
  readonly actor: string | null;
  readonly action: string;
  readonly outcome: string;
  readonly code: string | null;
  readonly route: string | null;
  readonly subjects: string[];
  readonly subjectPractice: string | null;
  readonly detail: Record<string, unknown> | null;
  readonly correlationId: string | null;
  readonly ip: string | null;
}

const agentOf = ({ id }: Practice, role = 'scheduling_agent') => ({
  sub: `user_${role}`,
  practice_id: id,
  role,
  usage_plan: 'internal',
});

describe('what is audited', () => {
  let world: World;
  let gate: GateProcess;
  let ours: Practice;
  let theirs: Practice;
  let token: string;
  let nextSlot = 0;

  const entries = async (practice: string, correlationId?: string): Promise<Entry[]> =>
    (
      await world.sql<{ body: Entry }>(
        `SELECT body FROM audit_entries WHERE practice_id = $1 AND ($2::text IS NULL OR body ->> 'correlationId' = $2) ORDER BY seq`,
        [practice, correlationId ?? null],
      )
    ).map(({ body }) => body);
  const request = () => {
    nextSlot += 1;
    return { patientId: ours.patients[0], slotId: ours.slots[nextSlot], type: 'follow_up' };
  };
  const as = (correlationId: string, headers: Record<string, string> = {}) => ({
    token,
    headers: { 'x-correlation-id': correlationId, ...headers },
  });

  beforeAll(async () => {
    world = await World.create();
    ours = await seedPractice(world, 'ours', { patients: 3, slots: 40 });
    theirs = await seedPractice(world, 'theirs', { patients: 1, slots: 1 });
    gate = await world.start();
    token = await tokenFor(gate, agentOf(ours));
  });
  afterAll(() => world.end());

  it('a reading, with everything that says who, what and when, and no PHI', async () => {
    const [id] = ours.patients;
    const { headers, status } = await call(gate, `/patients/${id ?? ''}`, as('reading-1'));
    expect(status).toBe(200);
    expect(await entries(ours.id, 'reading-1')).toEqual([
      {
        v: 1,
        practice: ours.id,
        seq: expect.any(Number) as number,
        id: expect.stringMatching(/^aud_[0-9a-z]{26}$/) as string,
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
        actor: 'user_scheduling_agent',
        clientId: 'client_dev',
        role: 'scheduling_agent',
        action: 'patient.read',
        outcome: 'allowed',
        code: null,
        route: 'GET /patients/:id',
        subjects: [id],
        subjectPractice: null,
        detail: null,
        correlationId: 'reading-1',
        requestId: headers.get('x-request-id'),
        ip: expect.stringMatching(/127\.0\.0\.1$/) as string,
      },
    ]);
    const [{ text } = { text: '' }] = await world.sql<{ text: string }>(
      `SELECT string_agg(body::text, '') AS text FROM audit_entries`,
    );
    expect(text).not.toMatch(/First\d|Last\d|\+1555|example\.com|1990-01-01/);
  });

  it('a list, with all that it showed', async () => {
    await call(gate, '/patients', as('list-1'));
    const [entry] = await entries(ours.id, 'list-1');
    expect([entry?.action, [...(entry?.subjects ?? [])].sort()]).toEqual(['patient.search', ours.patients]);
  });

  it('a booking, its replay, and what is failed', async () => {
    const [body, key] = [request(), randomUUID()];
    const book = (correlationId: string, idempotencyKey = key) =>
      call(gate, '/appointments', { ...as(correlationId, { 'idempotency-key': idempotencyKey }), body });
    const first = await book('book-1');
    await book('book-2');
    expect((await book('book-3', randomUUID())).status).toBe(409);
    const appointmentId = first.body.appointmentId;
    // Behind it stands what was told of it, by SMS and to the CRM.
    expect((await entries(ours.id, 'book-1')).filter(({ action }) => action !== 'appointment.disclose')).toMatchObject([
      { action: 'appointment.book', outcome: 'allowed', code: null, subjects: [appointmentId, body.patientId] },
    ]);
    expect(await entries(ours.id, 'book-2')).toMatchObject([
      { action: 'appointment.book', outcome: 'allowed', code: 'replayed', subjects: [appointmentId] },
    ]);
    await until(async () => (await entries(ours.id, 'book-3')).length > 0);
    expect(await entries(ours.id, 'book-3')).toMatchObject([{ outcome: 'failed', code: 'slot_taken' }]);
  });

  it('a reach for another practice’s patient, whose entry survives the rollback', async () => {
    const body = { ...request(), patientId: theirs.patients[0] };
    const answer = await call(gate, '/appointments', { ...as('cross-1', { 'idempotency-key': randomUUID() }), body });
    expect(answer.status).toBe(403);
    expect(answer.text).not.toContain(theirs.id);
    expect(await entries(ours.id, 'cross-1')).toMatchObject([
      {
        actor: 'user_scheduling_agent',
        action: 'appointment.book',
        outcome: 'refused',
        code: 'cross_practice',
        subjects: theirs.patients,
        subjectPractice: theirs.id,
        detail: { subjectType: 'patient' },
      },
    ]);
  });

  it('a reach for another practice’s appointment: to read, to cancel, to move, and for its patient’s list', async () => {
    const { body: booked } = await call<{ appointmentId: string }>(gate, '/appointments', {
      ...as('foreign-0', { 'idempotency-key': randomUUID() }),
      body: request(),
    });
    const foreign = await tokenFor(gate, agentOf(theirs));
    const path = `/appointments/${booked.appointmentId}`;
    const asForeign = (headers = {}) => ({ token: foreign, headers: { 'x-correlation-id': 'foreign-1', ...headers } });
    const write = () => ({ ...asForeign({ 'idempotency-key': randomUUID() }), method: 'POST' });
    const answers = await Promise.all([
      call(gate, path, asForeign()),
      call(gate, `${path}/cancel`, write()),
      call(gate, `${path}/reschedule`, { ...write(), body: { slotId: theirs.slots[0] } }),
      call(gate, `/appointments?patientId=${ours.patients[0] ?? ''}`, asForeign()),
    ]);
    expect(answers.map(({ status, body }) => [status, body.error])).toEqual(
      Array.from({ length: 4 }, () => [403, 'Forbidden']),
    );
    const made = await entries(theirs.id, 'foreign-1');
    expect(made.map(({ action, code, subjects }) => [action, code, ...subjects]).sort()).toEqual([
      ['appointment.cancel', 'cross_practice', booked.appointmentId],
      ['appointment.list', 'cross_practice', ours.patients[0]],
      ['appointment.read', 'cross_practice', booked.appointmentId],
      ['appointment.reschedule', 'cross_practice', booked.appointmentId],
    ]);
  });

  it('a reading without its answer’s body, as one with it', async () => {
    const [id = ''] = ours.patients;
    const { status, text } = await call(gate, `/patients/${id}`, { ...as('head-1'), method: 'HEAD' });
    expect([status, text]).toEqual([200, '']);
    expect(await entries(ours.id, 'head-1')).toMatchObject([
      { action: 'patient.read', outcome: 'allowed', subjects: [id] },
    ]);
    expect(
      (await call(gate, `/patients/${theirs.patients[0] ?? ''}`, { ...as('head-2'), method: 'HEAD' })).status,
    ).toBe(403);
    expect(await entries(ours.id, 'head-2')).toMatchObject([{ code: 'cross_practice', subjects: theirs.patients }]);
  });

  it('a refusal by role, before it is sent', async () => {
    const officer = await tokenFor(gate, agentOf(ours, 'security_officer'));
    const holder = await holdChain(world, ours.id);
    let answered = false;
    const refusal = call(gate, '/patients', { ...as('role-1'), token: officer }).finally(() => (answered = true));
    await until(async () => (await waitingForChains(world)) > 0);
    expect(answered).toBe(false);
    await holder.end();
    expect((await refusal).status).toBe(403);
    expect(await entries(ours.id, 'role-1')).toMatchObject([
      { actor: 'user_security_officer', action: 'patient.search', outcome: 'refused', code: 'insufficient_role' },
    ]);
  });

  it('a conflict, which tells of something that is there, before it is sent', async () => {
    const body = request();
    const book = (correlationId: string) =>
      call(gate, '/appointments', { ...as(correlationId, { 'idempotency-key': randomUUID() }), body });
    expect((await book('conflict-1')).status).toBe(201);
    const holder = await holdChain(world, ours.id);
    let answered = false;
    const refusal = book('conflict-2').finally(() => (answered = true));
    await until(async () => (await waitingForChains(world)) > 0);
    expect(answered).toBe(false);
    await holder.end();
    expect((await refusal).status).toBe(409);
    expect(await entries(ours.id, 'conflict-2')).toMatchObject([{ outcome: 'failed', code: 'slot_taken' }]);
  });

  it('whom the path names, where nothing was read of him: refused, unknown, or an empty list', async () => {
    const officer = await tokenFor(gate, agentOf(ours, 'security_officer'));
    const [foreign = ''] = theirs.patients;
    expect((await call(gate, `/patients/${foreign}`, { ...as('named-1'), token: officer })).status).toBe(403);
    expect((await call(gate, '/patients/pat_nobody1', as('named-2'))).status).toBe(404);
    expect((await call(gate, '/patients/Ada%20Lovelace', as('named-3'))).status).toBe(404);
    expect((await call(gate, '/patients/ada_lovelace', as('named-5'))).status).toBe(404);
    await world.sql(
      `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, phone) VALUES ($1, 'pat_unbooked1', 'A', 'B', '1990-01-01', '+1')`,
      [ours.id],
    );
    const list = await call<{ data: unknown[] }>(gate, '/patients/pat_unbooked1/appointments', as('named-4'));
    expect(list.body.data).toEqual([]);
    const asked = await call<{ data: unknown[] }>(gate, '/appointments?patientId=pat_unbooked1', as('named-6'));
    expect(asked.body.data).toEqual([]);
    expect((await call(gate, '/patients?search=pat_lovelace1', as('named-7'))).status).toBe(200);
    const subjects = async (correlationId: string) => {
      await until(async () => (await entries(ours.id, correlationId)).length > 0);
      return (await entries(ours.id, correlationId)).map((entry) => [entry.outcome, ...entry.subjects]);
    };
    // Whose he is is found out afterwards: the second entry is that of an attempt across practices.
    await until(async () => (await entries(ours.id, 'named-1')).length > 1);
    expect(await entries(ours.id, 'named-1')).toMatchObject([
      { outcome: 'refused', code: 'insufficient_role', subjects: [foreign], subjectPractice: null },
      { outcome: 'refused', code: 'cross_practice', subjects: [foreign], subjectPractice: theirs.id },
    ]);
    expect(await subjects('named-2')).toEqual([['failed', 'pat_nobody1']]);
    expect(await subjects('named-3')).toEqual([['failed']]);
    expect(await subjects('named-4')).toEqual([['allowed', 'pat_unbooked1']]);
    expect(await subjects('named-5')).toEqual([['failed']]);
    expect(await subjects('named-6')).toEqual([['allowed', 'pat_unbooked1']]);
    expect(await subjects('named-7')).toEqual([['allowed']]);
  });

  it('what one caller is refused over and over, by its number', async () => {
    const officer = await tokenFor(gate, { ...agentOf(ours, 'security_officer'), sub: 'user_stubborn' });
    const statuses = await Promise.all(
      Array.from({ length: 200 }, () =>
        callPatiently(gate, '/patients', { token: officer }).then(({ status }) => status),
      ),
    );
    const refused = statuses.filter((status) => status === 403).length;
    const recorded = async () => {
      const [row] = await world.sql<{ entries: number; refusals: number }>(
        `SELECT count(*)::int AS entries, sum(coalesce((body -> 'detail' ->> 'count')::int, 1))::int AS refusals
         FROM audit_entries WHERE practice_id = $1 AND actor = 'user_stubborn'`,
        [ours.id],
      );
      return row;
    };
    await until(async () => (await recorded())?.refusals === refused);
    expect((await recorded())?.entries).toBeLessThan(refused / 2);
  });

  it('an operator’s changes, in the platform’s chain, before they are made', async () => {
    const operator = await tokenFor(gate, { sub: 'user_olu', role: 'operator' });
    const headers = { 'x-correlation-id': 'operator-1' };
    await call(gate, '/auth/revocations', { token: operator, headers, body: { sub: 'user_gone' } });
    await call(gate, '/usage-plans/app_x', { token: operator, headers, method: 'PUT', body: { plan: 'enterprise' } });
    await call(gate, '/dead-letters/evt_1.crm/retry', { token: operator, headers, method: 'POST' });
    await until(async () => (await entries('platform', 'operator-1')).length === 4);
    expect(
      (await entries('platform', 'operator-1')).map(({ actor, action, outcome, subjects }) => [
        actor,
        action,
        outcome,
        ...subjects,
      ]),
    ).toEqual([
      ['user_olu', 'token.revoke', 'allowed', 'user_gone'],
      ['user_olu', 'usage_plan.change', 'allowed', 'app_x'],
      ['user_olu', 'dead_letter.retry', 'allowed', 'evt_1.crm'],
      ['user_olu', 'dead_letter.retry', 'failed'],
    ]);
  });

  it('a flood of unknown callers in a few entries, with the right total', async () => {
    const counted = async (code: string, route: string | null) =>
      (await entries('platform'))
        .filter((entry) => entry.code === code && entry.route === route)
        .reduce((sum, { detail }) => sum + Number(detail?.count), 0);
    const before = (await entries('platform')).length;
    let refused = 0;
    for (let round = 0; round < 50; round += 1) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => call(gate, '/patients', { token: 'a.b.c' })));
      // On a loaded machine some are turned away unread (503): those are nobody's refusal.
      refused += answers.filter(({ status }) => status === 401).length;
    }
    expect(refused).toBeGreaterThan(100);
    await call(gate, '/..%2f..%2fetc/passwd');
    await until(async () => (await counted('invalid_token', 'GET /patients')) === refused);
    await until(async () => (await counted('firewall_rule', null)) === 1);
    expect((await entries('platform')).length - before).toBeLessThan(50);
  });

  it('an answer that is out, though its process is killed at once', async () => {
    const doomed = await world.start();
    const { status } = await call(doomed, `/patients/${ours.patients[1] ?? ''}`, as('killed-1'));
    await doomed.end('SIGKILL');
    expect([status, (await entries(ours.id, 'killed-1')).length]).toEqual([200, 1]);
  });
});

describe('the audit log of two processes', () => {
  let world: World;
  let ours: Practice;

  beforeAll(async () => {
    world = await World.create();
    ours = await seedPractice(world, 'ours', { patients: 1, slots: 1 });
  });
  afterAll(() => world.end());

  const anchorFile = () => join(world.environment.DATA_DIR ?? '', 'audit-anchors.ndjson');
  const verified = () => verifyAudit(world.environment.DATABASE_SYSTEM_URL ?? '', anchorFile());

  it('is one gapless chain of all that both answered, anchored as they go and when they stop', async () => {
    const gates = await Promise.all([
      world.start({ GATEHOUSE_ROLE: 'api' }),
      world.start({ GATEHOUSE_ROLE: 'all', AUDIT_ANCHOR_SECONDS: '1' }),
    ]);
    const [reader, worker] = gates;
    const token = await tokenFor(reader, agentOf(ours));
    const statuses: number[] = [];
    const lane = async (lane: number) => {
      for (let n = 0; n < 50; n += 1) {
        const gate = gates[lane % 2] ?? reader;
        statuses.push((await call(gate, `/patients/${ours.patients[0] ?? ''}`, { token })).status);
      }
    };
    await Promise.all(Array.from({ length: 40 }, (_, n) => lane(n)));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await verified()).toMatchObject({ chains: 1, entries: 2_000, faults: [] });

    const anchored = async () =>
      Math.max(0, ...((await readAnchors(anchorFile()))?.anchors.get(ours.id) ?? []).map(({ seq }) => seq));
    await until(async () => (await anchored()) === 2_000, 90_000);
    expect((await call(worker, '/metrics')).text).toMatch(/^audit_anchor_age_seconds \d/m);
    expect((await call(reader, '/metrics')).text).not.toContain('audit_anchor_age_seconds');

    await call(reader, `/patients/${ours.patients[0] ?? ''}`, { token });
    expect(await worker.end()).toBe(0);
    expect(await anchored()).toBe(2_001);
    expect(await reader.end()).toBe(0);
    expect((await verified()).faults).toEqual([]);
  });

  it('keeps what was counted of unknown callers when a process stops', async () => {
    const gate = await world.start({ GATEHOUSE_ROLE: 'api' });
    await call(gate, '/patients');
    expect(await gate.end()).toBe(0);
    expect(
      await world.sql(
        `SELECT body -> 'detail' AS detail, body ->> 'code' AS code FROM audit_entries WHERE actor IS NULL`,
      ),
    ).toEqual([{ detail: { count: 1 }, code: 'token_required' }]);
  });
});
