import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { call, tokenFor } from './support/api';
import { type Breach, BrokenBuilds } from './support/broken-build';
import { ada, patientsAs } from './support/patients';
import type { GateProcess } from './support/process';
import { runProgram } from './support/program';
import { seedSubjects } from './support/route-requests';
import { until } from './support/until';
import { World } from './support/world';

/** What a column that somebody adds tomorrow holds, in a form for each type. */
const marker = 'Quartz-Umbrella';
const marked = new RegExp(`${marker}|5432109876|quartzumbrella`, 'i');

const statements = /^domains\/patients\/patients\.statements\.js$/;
/** Somebody puts the column into the entity: every statement of patients gives it. */
const selected = {
  columns: {
    files: statements,
    text: /p\.id, p\.practice_id AS "practiceId"/g,
    by: 'p.id, p.diagnosis, p.practice_id AS "practiceId"',
    places: 1,
  },
  stored: {
    files: statements,
    text: /p\.practice_id, p\.id, p\.first_name/g,
    by: 'p.diagnosis, p.practice_id, p.id, p.first_name',
    places: 1,
  },
} satisfies Record<string, Breach>;
/** The answer's allow-list lets everything through. */
const everything = {
  files: /^policy\/responses\/response\.policy\.js$/,
  text: /JSON\.stringify\(.*pickerOf\)?\(answer\.view\)\(result\)\)/g,
  by: 'JSON.stringify(result)',
  places: 1,
} satisfies Breach;

describe('a column of PHI that is added to patients, appointments and slots', () => {
  let world: World;
  let gate: GateProcess;
  let folder: string;
  let dist: string;
  const builds = new BrokenBuilds('columns');
  let token: string;
  const said: string[] = [];

  const tokenOf = (practice: string, role: string) =>
    tokenFor(gate, { sub: `user_${practice}`, practice_id: `practice_${practice}`, role, usage_plan: 'internal' });
  const keep = async (answer: Promise<{ status: number; text: string; headers: Headers }>, status: number) => {
    const { text, headers, status: actual } = await answer;
    expect([actual, text]).toEqual([status, text]);
    said.push(text, JSON.stringify([...headers]));
  };
  const exportOf = async (practice: string): Promise<string> => {
    const file = join(folder, `${practice}.ndjson`);
    const ended = await runProgram(world, 'tenant-export', ['--practice', `practice_${practice}`, '--out', file]);
    expect([ended.code, ended.output]).toEqual([0, ended.output]);
    expect(ended.output).not.toMatch(marked);
    return readFile(file, 'utf8');
  };

  beforeAll(async () => {
    world = await World.create();
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-columns-'));
    await seedSubjects(world, 'ours');
    await seedSubjects(world, 'theirs');
    for (const table of ['patients', 'appointments', 'slots']) {
      await world.sql(
        `ALTER TABLE ${table} ADD COLUMN diagnosis text NOT NULL DEFAULT '${marker}',
           ADD COLUMN member_number bigint NOT NULL DEFAULT 5432109876,
           ADD COLUMN history jsonb NOT NULL DEFAULT '{"${marker}": ["${marker}"]}'`,
      );
    }
    dist = await builds.make(selected);
    gate = await world.start({ LOG_LEVEL: 'trace' }, dist);
    token = await tokenOf('ours', 'practice_admin');
  }, 60_000);
  afterAll(async () => {
    await world.end();
    await Promise.all([builds.remove(), rm(folder, { recursive: true, force: true })]);
  });

  it('is in the rows and in what the repository gives, and in no answer, refusal or failure', async () => {
    const { one, list } = createRequire(join(dist, 'main.js'))('./domains/patients/patients.statements.js') as {
      one: { text: string };
      list: { first: { text: string } };
    };
    for (const [{ text }, value] of [
      [one, 'pat_ours1'],
      [list.first, 1],
    ] as const) {
      const [row] = await world.sql<{ diagnosis?: string }>(text, ['practice_ours', value]);
      expect(row?.diagnosis).toBe(marker);
    }
    const patients = patientsAs(gate, token);
    const post = (path: string, body?: unknown) =>
      call(gate, path, { token, method: 'POST', body, headers: { 'idempotency-key': randomUUID() } });
    await keep(patients.get('pat_ours1'), 200);
    await keep(patients.list({ limit: '100' }), 200);
    await keep(patients.list({ search: 'ourslast' }), 200);
    const created = patients.create(ada);
    await keep(created, 201);
    await keep(patients.update((await created).body.id, { email: 'ada@example.com' }), 200);
    await keep(call(gate, '/patients/pat_ours1/appointments', { token }), 200);
    await keep(call(gate, '/appointments?limit=100', { token }), 200);
    await keep(call(gate, '/appointments/appt_ours1', { token }), 200);
    await keep(call(gate, '/slots?date=2030-01-02', { token }), 200);
    const booking = { patientId: 'pat_ours2', slotId: 'slot_ours100', type: 'follow_up' };
    await keep(post('/appointments', booking), 201);
    await keep(post('/appointments', booking), 409);
    await keep(post('/appointments/appt_ours3/cancel'), 200);
    await keep(post('/appointments/appt_ours4/reschedule', { slotId: 'slot_ours150' }), 200);
    await keep(patients.get('pat_theirs1'), 403);
    await keep(patients.get('pat_nobody'), 404);
    await keep(patients.create({ ...ada, diagnosis: 'x' }), 400);
    // Postgres puts the whole row into the text of this error.
    await world.sql(`ALTER TABLE patients ADD CONSTRAINT fails CHECK (first_name <> 'Breaker')`);
    await keep(patients.update('pat_ours5', { firstName: 'Breaker' }), 500);
    await world.sql('ALTER TABLE patients DROP CONSTRAINT fails');
    await keep(call(gate, '/metrics'), 200);
    expect(said.join('\n')).not.toMatch(marked);
  });

  it('leaves where nothing is listed that may, so that what is above can fail', async () => {
    const unlisted = await builds.make({ ...selected, unlisted: everything });
    const open = await world.start({ GATEHOUSE_ROLE: 'api' }, unlisted);
    for (const path of ['/patients/pat_ours1', '/patients'])
      expect((await call(open, path, { token })).text).toMatch(marked);
    await open.end();
  });

  it('cannot be searched by', async () => {
    for (const search of ['Quartz', 'umbrella', '5432109876', '9876']) {
      const { body } = await patientsAs(gate, token).list({ search });
      expect([search, body.data]).toEqual([search, []]);
    }
  });

  it('is in no event, delivery, kept answer, audit entry or search term', async () => {
    await until(async () => (await world.sql(`SELECT 1 FROM outbox_events WHERE relayed_at IS NULL`)).length === 0);
    const tables = await world.sql<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
    );
    const holders: string[] = [];
    for (const { name } of tables) {
      const rows = await world.sql<{ text: string }>(`SELECT t::text AS text FROM "${name}" t`);
      if (name === 'outbox_events' || name === 'audit_entries') expect(rows.length).toBeGreaterThan(4);
      if (rows.some(({ text }) => marked.test(text))) holders.push(name);
    }
    expect(holders.sort()).toEqual(['appointments', 'patients', 'slots']);
  });

  it('is in no export of the audit log, and in no other practice’s data', async () => {
    const officer = await tokenOf('ours', 'security_officer');
    await keep(call(gate, '/audit?limit=100', { token: officer }), 200);
    await keep(call(gate, '/audit/export', { token: officer }), 200);
    expect(said.join('\n')).not.toMatch(marked);
    await world.sql(`UPDATE patients SET diagnosis = 'Theirs-Only' WHERE practice_id = 'practice_theirs'`);
    const ours = await exportOf('ours');
    // The practice's own data are the practice's, whatever columns they get; the other's are not.
    expect(ours).toContain(marker);
    expect(ours).not.toContain('Theirs-Only');
    expect(await exportOf('theirs')).toContain('Theirs-Only');
  });

  it('is in no line of the log', () => {
    expect(gate.log).toContain('A request failed');
    expect(gate.log).not.toMatch(marked);
  });
});
