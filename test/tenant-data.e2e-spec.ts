import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { call, tokenFor } from './support/api';
import { ada, type PatientsClient, patientsAs } from './support/patients';
import { type Practice, seedPractice } from './support/practice';
import { runProgram, startProgram } from './support/program';
import { until } from './support/until';
import { World } from './support/world';

interface Line {
  readonly table: string;
  readonly row: Readonly<Record<string, unknown>>;
}

/** The column that tells a row's practice. */
const tenantColumns: Readonly<Record<string, string>> = {
  appointments: 'practice_id',
  audit_entries: 'practice_id',
  booking_daily_counts: 'practice_id',
  event_deliveries: 'tenant_id',
  idempotency_records: 'tenant_id',
  outbox_events: 'tenant_id',
  patient_search_terms: 'practice_id',
  patients: 'practice_id',
  practices: 'id',
  slots: 'practice_id',
  staff: 'practice_id',
};

/** Tables of workspaces; found, and empty for a practice (for a workspace: `workspace-data.e2e-spec.ts`). */
const workspaceTables = ['channel_members', 'channels', 'messages', 'workspace_users', 'workspaces'];

/** Each test starts programs, some several. */
jest.setTimeout(120_000);

describe('the data of a practice', () => {
  let world: World;
  let folder: string;
  let ours: Practice;
  let theirs: Practice;

  /** Rows by table, of one practice or of all, read past every policy. */
  const countsOf = async (practiceId: string): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const [table, column] of Object.entries(tenantColumns)) {
      const [row] = await world.sql<{ n: number }>(`SELECT count(*)::int AS n FROM ${table} WHERE ${column} = $1`, [
        practiceId,
      ]);
      counts[table] = row?.n ?? -1;
    }
    return counts;
  };
  const exportTo = (file: string, practiceId: string) =>
    runProgram(world, 'tenant-export', ['--practice', practiceId, '--out', file]);
  const erase = (...args: string[]) => runProgram(world, 'tenant-erase', args, { DATABASE_ADMIN_URL: world.ownerUrl });

  beforeAll(async () => {
    world = await World.create();
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-export-'));
    ours = await seedPractice(world, 'ours', { patients: 1_200, slots: 3 });
    theirs = await seedPractice(world, 'theirs', { patients: 7, slots: 2 });
    // Everything that a request leaves behind, of both practices; no worker runs, so that nothing changes by itself.
    const gate = await world.start({ GATEHOUSE_ROLE: 'api' });
    for (const practice of [ours, theirs]) {
      const token = await tokenFor(gate, { sub: 'user_agent', practice_id: practice.id, role: 'practice_admin' });
      const patients: PatientsClient = patientsAs(gate, token);
      const secrets = { ssn: '000-12-3456', notes: `A note of ${practice.id}\n“quoted”`, lastName: 'Núñez' };
      const { body } = await patients.create({ ...ada, ...secrets });
      const booking = { patientId: body.id, slotId: practice.slots[0], type: 'follow_up' };
      const headers = { 'idempotency-key': randomUUID() };
      expect((await call(gate, '/appointments', { token, body: booking, headers })).status).toBe(201);
      await world.sql('INSERT INTO booking_daily_counts (practice_id, day) VALUES ($1, current_date)', [practice.id]);
      await world.sql(
        `INSERT INTO event_deliveries (event_id, consumer, tenant_id) SELECT id, 'sms', tenant_id FROM outbox_events WHERE tenant_id = $1`,
        [practice.id],
      );
    }
    await gate.end();
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
    await world.end();
  });

  it('lies in the tables that this test knows', async () => {
    const found = await world.sql<{ name: string }>(
      `SELECT DISTINCT c.relname AS name FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
       WHERE p.polname = 'tenant' ORDER BY 1`,
    );
    expect(found.map(({ name }) => name)).toEqual([...Object.keys(tenantColumns), ...workspaceTables].sort());
  });

  describe('exported', () => {
    it('is in the file whole, decrypted, for its owner alone, and nobody else’s is', async () => {
      const file = join(folder, 'ours.ndjson');
      const { code, output } = await exportTo(file, ours.id);
      expect([code, output]).toEqual([0, expect.stringContaining('patients: 1201')]);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      expect(await readdir(folder)).toEqual(['ours.ndjson']);
      const text = await readFile(file, 'utf8');
      const lines = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Line);
      const counts: Record<string, number> = {};
      for (const { table, row } of lines) {
        counts[table] = (counts[table] ?? 0) + 1;
        expect(row[tenantColumns[table] ?? '']).toBe(ours.id);
      }
      expect(counts).toEqual(await countsOf(ours.id));
      const told = `SELECT body ->> 'actor' AS actor, outcome FROM audit_entries WHERE practice_id = $1 AND action = 'tenant.export'`;
      expect(await world.sql(told, [ours.id])).toEqual([{ actor: 'program', outcome: 'allowed' }]);
      expect(Object.values(counts).every((count) => count > 0)).toBe(true);
      const full = lines.find(({ table, row }) => table === 'patients' && row.last_name === 'Núñez');
      expect(full?.row).toMatchObject({ ssn: '000123456', notes: `A note of ${ours.id}\n“quoted”` });
      expect(Object.keys(full?.row ?? {})).not.toContain('ssn_encrypted');
      expect(lines.find(({ table, row }) => table === 'patients' && row.id === ours.patients[0])?.row.ssn).toBeNull();
      expect(text).not.toContain(theirs.id);
      const firstOf = (name: string) => lines.findIndex(({ table }) => table === name);
      for (const [parent, child] of [
        ['practices', 'staff'],
        ['staff', 'slots'],
        ['slots', 'appointments'],
        ['patients', 'appointments'],
      ] as const) {
        expect(firstOf(parent)).toBeLessThan(firstOf(child));
      }
    });

    it('overwrites no file', async () => {
      const file = join(folder, 'kept.ndjson');
      await writeFile(file, 'kept');
      const { code, output } = await exportTo(file, ours.id);
      expect([code, output]).toEqual([1, expect.stringContaining(`${file} exists, and is not overwritten`)]);
      expect(await readFile(file, 'utf8')).toBe('kept');
    });

    it('of nobody, or with something missing, is an error and leaves no file', async () => {
      const file = join(folder, 'none.ndjson');
      const unknown = await exportTo(file, 'practice_nobody');
      expect([unknown.code, unknown.output]).toEqual([1, expect.stringContaining('no practice practice_nobody')]);
      expect(await world.sql(`SELECT FROM audit_entries WHERE practice_id = 'practice_nobody'`)).toHaveLength(0);
      expect((await runProgram(world, 'tenant-export', ['--practice', ours.id])).code).toBe(1);
      await world.sql('CREATE TABLE forgotten (practice_id text)');
      const gap = await exportTo(file, ours.id);
      expect([gap.code, gap.output]).toEqual([1, expect.stringContaining('may not read forgotten')]);
      await world.sql('DROP TABLE forgotten');
      expect((await readdir(folder)).filter((name) => name.startsWith('none'))).toEqual([]);
    });

    describe('and interrupted', () => {
      /** Signals an export that has written patients and waits for the appointments. */
      const interrupt = async (file: string, signal: NodeJS.Signals) => {
        const holder = await world.clientOf('superuser');
        try {
          await holder.query('BEGIN');
          await holder.query('LOCK TABLE appointments IN ACCESS EXCLUSIVE MODE');
          const running = startProgram(world, 'tenant-export', ['--practice', ours.id, '--out', file]);
          const written = () => readFile(`${file}.partial`, 'utf8').catch(() => '');
          await until(async () => (await written()).includes('"ssn":"000123456"'), 60_000);
          running.kill(signal);
          return await running.ended;
        } finally {
          await holder.end();
        }
      };
      const left = async (name: string) => (await readdir(folder)).filter((entry) => entry.startsWith(name));

      it.each([
        ['SIGINT', 130],
        ['SIGTERM', 143],
      ] as const)('by %s, leaves nothing behind', async (signal, exitCode) => {
        const { code, output } = await interrupt(join(folder, signal), signal);
        expect([code, output]).toEqual([exitCode, expect.stringContaining(signal)]);
        expect(await left(signal)).toEqual([]);
      });

      it('by kill -9, says the next time what is there and what to do, and goes on when it is gone', async () => {
        const file = join(folder, 'killed.ndjson');
        await interrupt(file, 'SIGKILL');
        const refused = await exportTo(file, ours.id);
        expect([refused.code, refused.output]).toEqual([
          1,
          expect.stringMatching(/killed\.ndjson\.partial .*delete it/),
        ]);
        expect(await left('killed')).toEqual(['killed.ndjson.partial']); // it may be somebody's who is at it
        await rm(`${file}.partial`);
        expect((await exportTo(file, ours.id)).code).toBe(0);
        expect(await left('killed')).toEqual(['killed.ndjson']);
      });
    });

    it('has a table that was added later, without a line of code', async () => {
      await world.sql(`
        CREATE TABLE later (account_id text NOT NULL, id text NOT NULL, size numeric);
        ALTER TABLE later ENABLE ROW LEVEL SECURITY; ALTER TABLE later FORCE ROW LEVEL SECURITY;
        CREATE POLICY tenant ON later USING (account_id = (SELECT gatehouse_tenant()));
        GRANT SELECT ON later TO gatehouse_app;
        INSERT INTO later VALUES ('practice_ours', '1', 12345678901234567890.123), ('practice_theirs', '2', 0)`);
      const file = join(folder, 'later.ndjson');
      expect((await exportTo(file, ours.id)).code).toBe(0);
      const text = await readFile(file, 'utf8');
      expect(text).toContain('"size": 12345678901234567890.123'); // as it is, not as a JavaScript number
      expect(text.match(/"table":"later"/g)).toHaveLength(1);
      await world.sql('DROP TABLE later');
    });
  });

  describe('erased', () => {
    const lastEntries = async () =>
      (
        await world.sql<{ action: string; code: string | null; outcome: string; detail: unknown }>(
          `SELECT body ->> 'action' AS action, body ->> 'code' AS code, outcome, body -> 'detail' AS detail
           FROM audit_entries WHERE practice_id = $1 ORDER BY seq DESC LIMIT 2`,
          [ours.id],
        )
      ).reverse();

    it('needs its name twice', async () => {
      const before = await countsOf(ours.id);
      expect((await erase('--practice', ours.id)).code).toBe(1);
      const other = await erase('--practice', ours.id, '--confirm', theirs.id);
      expect([other.code, other.output]).toEqual([1, expect.stringContaining(`--confirm says ${theirs.id}`)]);
      expect((await erase('--confirm', ours.id)).code).toBe(1);
      expect(await countsOf(ours.id)).toEqual(before);
    });

    it('is all there, or all gone: what fails at the last table has erased nothing', async () => {
      const { audit_entries: audited = 0, ...before } = await countsOf(ours.id);
      await world.sql(`
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
        CREATE TRIGGER refuse BEFORE DELETE ON practices FOR EACH ROW EXECUTE FUNCTION refuse()`);
      expect((await erase('--practice', ours.id, '--confirm', ours.id)).code).toBe(1);
      // That it was tried stays on record, and that it failed.
      expect(await countsOf(ours.id)).toEqual({ ...before, audit_entries: audited + 2 });
      expect((await lastEntries()).map(({ code, outcome }) => [code, outcome])).toEqual([
        [null, 'allowed'],
        ['not_erased', 'failed'],
      ]);
      await world.sql('DROP TRIGGER refuse ON practices');
    });

    it('is gone from every table but the audit log, and the other practice has all that it had', async () => {
      const before = await countsOf(theirs.id);
      const expected = await countsOf(ours.id);
      const { code, output } = await erase('--practice', ours.id, '--confirm', ours.id);
      expect(code).toBe(0);
      expect(output).toContain(`slots: ${expected.slots ?? ''} deleted`);
      const { audit_entries: audited = 0, ...data } = await countsOf(ours.id);
      expect(Object.values(data).every((count) => count === 0)).toBe(true);
      expect(audited).toBe((expected.audit_entries ?? 0) + 2);
      expect(await countsOf(theirs.id)).toEqual(before);
      expect(Object.values(before).every((count) => count > 0)).toBe(true);
      const rows = [...output.matchAll(/: (\d+) deleted/g)].reduce((sum, [, count]) => sum + Number(count), 0);
      expect(await lastEntries()).toEqual([
        { action: 'tenant.erase', code: null, outcome: 'allowed', detail: null },
        { action: 'tenant.erase', code: 'erased', outcome: 'allowed', detail: { rows } },
      ]);
    });

    it('is gone from what the planner knows of the tables, too', async () => {
      const gone = await seedPractice(world, 'gone', { patients: 1, slots: 1 });
      await world.sql(
        `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, phone)
         SELECT $1, 'pat_many' || n, 'Ada', 'Kowalczykowa', '1990-01-01', '+1555' FROM generate_series(1, 100) n`,
        [gone.id],
      );
      // As somebody may have whose planner needs them.
      await world.sql('ALTER TABLE patients ALTER last_name SET STATISTICS 100');
      await world.sql('ANALYZE patients, patient_search_terms');
      const known = () =>
        world.sql(
          `SELECT 1 FROM pg_stats WHERE (most_common_vals::text || histogram_bounds::text || '') ILIKE '%kowalczykowa%'
             OR most_common_vals::text ILIKE '%kowalczykowa%'`,
        );
      expect((await known()).length).toBeGreaterThan(0);
      expect((await erase('--practice', gone.id, '--confirm', gone.id)).code).toBe(0);
      expect(await known()).toEqual([]);
    });

    it('again, deletes nothing and succeeds', async () => {
      const before = await countsOf(theirs.id);
      const { code, output } = await erase('--practice', ours.id, '--confirm', ours.id);
      expect(code).toBe(0);
      expect(output).toContain('patients: 0 deleted');
      expect(await countsOf(theirs.id)).toEqual(before);
    });
  });
});
