import { randomUUID } from 'node:crypto';
import { type Answer, call, callPatiently, tokenFor } from './support/api';
import { type Breach, BrokenBuilds } from './support/broken-build';
import type { GateProcess } from './support/process';
import { seedSubjects } from './support/route-requests';
import { World } from './support/world';

const breaches = {
  /** The claim: the transaction is told another tenant than the token's. */
  claim: {
    files: /^platform\/database\/transaction\.js$/,
    text: /tenant === undefined \? '' : signed\(tenant, settings\)/g,
    by: `settings.signer ? signed('practice_theirs', settings) : ''`,
    places: 1,
  },
  /** The repositories forget their filters. */
  filter: {
    files: /^domains\/(patients|bookings)\/[\w.]+\.js$/,
    text: /\b(?:[a-z]\.)?practice_id = \$1(?!\d)/g,
    by: '$1::text IS NOT NULL',
    places: 12,
  },
  /** The services take whatever the repositories give. */
  check: {
    files: /^policy\/tenancy\/own-rows\.js$/,
    text: /practiceId !== caller\.practiceId/g,
    by: 'false && practiceId',
    places: 1,
  },
} satisfies Record<string, Breach>;
type BreachName = keyof typeof breaches;

const copies = new BrokenBuilds('walls');
const brokenBuild = (names: readonly BreachName[]) =>
  copies.make(Object.fromEntries(names.map((name) => [name, breaches[name]])));

const tenantTables = ['patients', 'appointments', 'slots', 'patient_search_terms'];

describe('each wall holds alone', () => {
  let world: World;

  /** The third wall: with `open`, every role sees every row. */
  const rowSecurity = async (state: 'whole' | 'open') => {
    for (const table of tenantTables) {
      await world.sql(`DROP POLICY IF EXISTS breach ON ${table}`);
      if (state === 'open') await world.sql(`CREATE POLICY breach ON ${table} USING (true) WITH CHECK (true)`);
    }
  };
  const agentOf = (gate: GateProcess, practice: string) =>
    tokenFor(gate, {
      sub: `user_of_${practice}`,
      practice_id: `practice_${practice}`,
      role: 'practice_admin',
      usage_plan: 'internal',
    });
  /** Everything that could show or change a row of theirs, as ours. */
  const reach = (gate: GateProcess, token: string): Promise<Answer[]> => {
    const headers = () => ({ 'idempotency-key': randomUUID() });
    const booking = { patientId: 'pat_ours5', slotId: 'slot_ours151', type: 'follow_up' };
    const later = { slotId: 'slot_theirs150' };
    return Promise.all([
      callPatiently(gate, '/patients/pat_theirs1', { token }),
      callPatiently(gate, '/patients?limit=100', { token }),
      callPatiently(gate, '/patients?search=theirslast', { token }),
      callPatiently(gate, '/patients?dateOfBirth=1990-01-01&limit=100', { token }),
      callPatiently(gate, '/patients/pat_theirs2', { token, method: 'PATCH', body: { insuranceProvider: 'Changed' } }),
      callPatiently(gate, '/patients/pat_theirs1/appointments', { token }),
      callPatiently(gate, '/slots?date=2030-01-02&limit=100', { token }),
      callPatiently(gate, '/appointments?limit=100', { token }),
      callPatiently(gate, '/appointments?patientId=pat_theirs1', { token }),
      callPatiently(gate, '/appointments/appt_theirs1', { token }),
      callPatiently(gate, '/appointments/appt_theirs3/cancel', { token, method: 'POST', headers: headers() }),
      callPatiently(gate, '/appointments/appt_theirs4/reschedule', { token, body: later, headers: headers() }),
      callPatiently(gate, '/appointments', {
        token,
        body: { ...booking, slotId: 'slot_theirs151' },
        headers: headers(),
      }),
      callPatiently(gate, '/appointments', {
        token,
        body: { ...booking, patientId: 'pat_theirs5' },
        headers: headers(),
      }),
    ]);
  };
  const rowsOf = (practice: string) =>
    world.sql(
      `SELECT md5(string_agg(row, ',' ORDER BY row)) AS sum FROM (
         SELECT t::text AS row FROM patients t WHERE practice_id = $1
         UNION ALL SELECT t::text FROM appointments t WHERE practice_id = $1
         UNION ALL SELECT t::text FROM slots t WHERE practice_id = $1
       ) rows`,
      [practice],
    );
  /** What the caller did not say himself, and only a row of theirs can have said. */
  const leak = /theirs(?:first|@)|theirslast\d|theirs insurance|"(?:id|patientId|appointmentId)":"\w+_theirs/;

  beforeAll(async () => {
    world = await World.create();
    await seedSubjects(world, 'ours');
    await seedSubjects(world, 'theirs');
  });
  afterEach(() => rowSecurity('whole'));
  afterAll(async () => {
    await world.end();
    await copies.remove();
  });

  it.each<[string, readonly BreachName[], 'whole' | 'open']>([
    ['row-level security, where repositories filter nothing and services check nothing', ['filter', 'check'], 'whole'],
    ['the service’s check, where repositories filter nothing and row-level security is open', ['filter'], 'open'],
    ['the claim in the query, where services check nothing and row-level security is open', ['check'], 'open'],
    [
      'the claim in the query, where the transaction is another practice’s and services check nothing',
      ['claim', 'check'],
      'whole',
    ],
    [
      'the service’s check, where the transaction is another practice’s and repositories filter nothing',
      ['claim', 'filter'],
      'whole',
    ],
    ['nothing but the refusals, where all is whole', [], 'whole'],
  ])(
    '%s',
    async (_, broken, rows) => {
      const gate = await world.start({ GATEHOUSE_ROLE: 'api' }, await brokenBuild(broken));
      await rowSecurity(rows);
      const before = await rowsOf('practice_theirs');
      const answers = await reach(gate, await agentOf(gate, 'ours'));
      // In another practice's transaction Postgres refuses the caller's own event, and with it the change: a failure of ours.
      // A booking that no filter stops ends at the foreign keys, which have the practice in them, or finds the slot taken.
      const failures = [...(broken.includes('claim') ? [500] : []), ...(broken.includes('filter') ? [409, 500] : [])];
      const expected = [200, 403, 404, ...failures];
      for (const { text, status } of answers) {
        expect(text).not.toMatch(leak);
        expect(expected).toContain(status);
      }
      expect(answers[0]?.status).toBe(403);
      expect(await rowsOf('practice_theirs')).toEqual(before);
      await gate.end();
    },
    120_000,
  );

  it('and without any of them the rows leave, so that what is above can fail', async () => {
    const gate = await world.start({ GATEHOUSE_ROLE: 'api' }, await brokenBuild(['filter', 'check']));
    await rowSecurity('open');
    const answers = await reach(gate, await agentOf(gate, 'ours'));
    const leaking = answers.filter(({ text }) => leak.test(text));
    expect(leaking.length).toBeGreaterThan(5);
    await gate.end();
  }, 120_000);

  it('a claim cannot be brought along by anything but the token', async () => {
    const gate = await world.start({ GATEHOUSE_ROLE: 'api' });
    const token = await agentOf(gate, 'ours');
    const headers = {
      'x-practice-id': 'practice_theirs',
      'x-tenant-id': 'practice_theirs',
      'practice-id': 'practice_theirs',
      cookie: 'practice_id=practice_theirs',
      forwarded: 'for=1.2.3.4;host=practice_theirs',
      baggage: 'practice_id=practice_theirs,gatehouse.tenant=practice_theirs',
    };
    const { text, status } = await call(gate, '/patients', { token, headers });
    expect(status).toBe(200);
    expect(text).toContain('oursfirst');
    expect(text).not.toMatch(leak);
    for (const name of ['practice_id', 'practiceId', 'tenant', 'gatehouse.tenant']) {
      const answer = await call(gate, `/patients?${name}=practice_theirs`, { token, headers });
      expect([name, answer.status]).toEqual([name, 400]);
    }
    const posed = { firstName: 'A', lastName: 'B', dateOfBirth: '1990-01-01', practiceId: 'practice_theirs' };
    const created = await call(gate, '/patients', { token, body: posed, headers: { 'idempotency-key': randomUUID() } });
    expect(created.status).toBe(400);
    await gate.end();
  });
});
