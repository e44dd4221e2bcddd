import { randomBytes } from 'node:crypto';
import { freshContext } from '../src/platform/context';
import { Connections } from '../src/platform/database/connections';
import { StatementCancelled } from '../src/platform/database/database.errors';
import { enter, enterReading } from '../src/platform/database/message';
import { statement } from '../src/platform/database/statement';
import { TenantSigner } from '../src/platform/database/tenant-signer';
import { Transaction } from '../src/platform/database/transaction';
import { GateProcess } from './support/process';
import { until } from './support/until';
import { World } from './support/world';

const patients = statement<{ id: string; practiceId: string }>(
  'test.patients',
  `SELECT id, practice_id AS "practiceId" FROM patients`,
);
const fails = statement('test.fails', 'SELECT 1 / 0');
const sleeps = statement('test.sleeps', 'SELECT pg_sleep(30)');

describe('tenancy in the database', () => {
  let world: World;
  let signer: TenantSigner;
  const opened: Connections[] = [];

  const connect = (total: number): Connections => {
    const connections = new Connections({
      url: world.environment.DATABASE_URL ?? '',
      shares: { total, reservedForCritical: 0, mostForBulk: 1 },
      applicationName: 'test',
      statementTimeoutMs: 20_000,
      preparedStatements: true,
      onBroken: () => undefined,
      signer,
    });
    opened.push(connections);
    return connections;
  };
  const as = (tenant: string | undefined) => ({ tenant, workClass: 'standard' as const });

  beforeAll(async () => {
    world = await World.create();
    signer = await TenantSigner.load(world.environment.DATABASE_SYSTEM_URL ?? '');
    await world.sql(
      `INSERT INTO practices (id, name, time_zone) VALUES ('practice_a', 'A', 'UTC'), ('practice_b', 'B', 'UTC')`,
    );
    await world.sql(`INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth)
      SELECT p, format('pat_%s%s', right(p, 1), n), 'F', 'L', '2000-01-01' FROM unnest(ARRAY['practice_a', 'practice_b']) p, generate_series(1, 3) n`);
  });
  afterAll(async () => {
    await Promise.all(opened.map((connections) => connections.close()));
    await world.end();
  });

  it('leaks nothing through one connection that two tenants take in turn, with errors and cancelled work between', async () => {
    const connections = connect(1);
    for (let round = 0; round < 60; round += 1) {
      const tenant = round % 2 === 0 ? 'practice_a' : 'practice_b';
      const rows = await Transaction.run(connections, as(tenant), (sql) => sql.query(patients));
      expect(rows).toHaveLength(3);
      expect(new Set(rows.map(({ practiceId }) => practiceId))).toEqual(new Set([tenant]));
      if (round % 3 === 0)
        await expect(Transaction.run(connections, as(tenant), (sql) => sql.query(fails))).rejects.toThrow();
      if (round % 20 === 0) {
        const context = freshContext({ correlationId: 'c', requestId: 'r', traceparent: undefined });
        const cancelled = Transaction.run(connections, { ...as(tenant), context }, (sql) => sql.query(sleeps));
        await until(async () => {
          const active = await world.sql(
            `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()`,
          );
          return active.length > 0;
        });
        context.cancelStatement?.();
        await expect(cancelled).rejects.toBeInstanceOf(StatementCancelled);
      }
      expect(await Transaction.run(connections, as(undefined), (sql) => sql.query(patients))).toEqual([]);
    }
  });

  it('shows nothing where no tenant was set', async () => {
    const client = await world.runtimeClient();
    expect((await client.query('SELECT * FROM patients')).rows).toEqual([]);
    await client.end();
  });

  it.each([
    `SET ROLE gatehouse_owner`,
    `SET ROLE gatehouse_lookup`,
    `SET ROLE gatehouse_system`,
    `SET SESSION AUTHORIZATION postgres`,
    `TRUNCATE patients`,
    `ALTER TABLE patients DISABLE ROW LEVEL SECURITY`,
    `ALTER TABLE patients NO FORCE ROW LEVEL SECURITY`,
    `CREATE POLICY open ON patients USING (true)`,
    `CREATE TABLE mine (a int)`,
    `COPY patients TO PROGRAM 'cat'`,
    `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth) VALUES ('practice_b', 'pat_x', 'F', 'L', '2000-01-01')`,
    `UPDATE patients SET practice_id = 'practice_b'`,
    `DELETE FROM patients`,
    `ALTER FUNCTION practice_of_patient(text) SECURITY INVOKER`,
  ])('refuses the runtime role: %s', async (attack) => {
    const client = await world.runtimeClient();
    await client.query(`BEGIN; SET LOCAL gatehouse.tenant = '${await world.signed('practice_a')}'`);
    await expect(client.query(attack)).rejects.toThrow(/permission denied|must be owner|row-level security/);
    await client.end();
  });

  it('counts a name signed with an older key until that is deleted, and signs with the newest', async () => {
    const client = await world.runtimeClient();
    const seenAs = async (signed: string) => {
      await client.query(`SELECT set_config('gatehouse.tenant', $1, false)`, [signed]);
      return (await client.query('SELECT FROM patients')).rowCount;
    };
    const refusedToBegin = async (signed: string) => {
      await expect(client.query(enter.text, [signed])).rejects.toThrow(/not signed/);
      await expect(client.query(enterReading.text, [signed])).rejects.toThrow(/not signed/);
    };
    try {
      const older = signer.sign('practice_a');
      await world.sql('SELECT make_tenant_key()');
      const newer = (await TenantSigner.load(world.environment.DATABASE_SYSTEM_URL ?? '')).sign('practice_a');
      expect(newer).not.toBe(older);
      expect(newer).toBe(await world.signed('practice_a'));
      expect([await seenAs(older), await seenAs(newer)]).toEqual([3, 3]);
      await world.sql('DELETE FROM tenant_keys WHERE id < (SELECT max(id) FROM tenant_keys)');
      expect([await seenAs(older), await seenAs(newer)]).toEqual([0, 3]);
      await refusedToBegin(older);
      await world.sql('DELETE FROM tenant_keys');
      expect(await seenAs(newer)).toBe(0);
      await refusedToBegin(newer);
      await expect(TenantSigner.load(world.environment.DATABASE_SYSTEM_URL ?? '')).rejects.toThrow(/make_tenant_key/);
    } finally {
      await client.end();
      await world.sql('SELECT make_tenant_key()');
      signer = await TenantSigner.load(world.environment.DATABASE_SYSTEM_URL ?? '');
    }
  });

  it('reads the key once a session, and again when there is another', async () => {
    const client = await world.runtimeClient();
    const readFor = async (signed: string) => {
      const { rows } = await client.query<{ reads: number; tenant: string | null }>(
        `WITH asked AS MATERIALIZED (SELECT set_config('gatehouse.tenant', $1, false)),
           before AS MATERIALIZED (SELECT reads() AS n FROM asked),
           found AS MATERIALIZED (SELECT gatehouse_tenant() AS tenant FROM before)
         SELECT tenant, reads() - before.n AS reads FROM found, before`,
        [signed],
      );
      return rows[0];
    };
    await world.sql(
      `CREATE FUNCTION reads() RETURNS int LANGUAGE sql VOLATILE RETURN (
         SELECT (seq_scan + coalesce(idx_scan, 0))::int FROM pg_stat_xact_all_tables WHERE relname = 'tenant_keys')`,
    );
    await world.sql('GRANT EXECUTE ON FUNCTION reads() TO PUBLIC');
    try {
      const signed = await world.signed('practice_a');
      expect((await readFor(signed))?.reads).toBeGreaterThan(0);
      expect(await readFor(signed)).toEqual({ tenant: 'practice_a', reads: 0 });
      expect(await readFor(await world.signed('practice_b'))).toEqual({ tenant: 'practice_b', reads: 0 });
      await world.sql('SELECT make_tenant_key()');
      const older = await readFor(signed);
      expect(older?.tenant).toBe('practice_a');
      expect(older?.reads).toBeGreaterThan(0);
      expect(await readFor(await world.signed('practice_a'))).toEqual({ tenant: 'practice_a', reads: 0 });
      await world.sql('DELETE FROM tenant_keys WHERE id < (SELECT max(id) FROM tenant_keys)');
      expect((await readFor(signed))?.tenant).toBeNull();
    } finally {
      await client.end();
      await world.sql('DROP FUNCTION reads()');
      signer = await TenantSigner.load(world.environment.DATABASE_SYSTEM_URL ?? '');
    }
  });

  it('refuses a tenant identifier that would say more than a name', async () => {
    const connections = connect(1);
    for (const tenant of [`a'; RESET ROLE; --`, '', 'x'.repeat(65), 'practice a']) {
      await expect(Transaction.run(connections, as(tenant), (sql) => sql.query(patients))).rejects.toThrow(
        /tenant identifier/,
      );
    }
  });

  it('does not report as committed what Postgres rolled back', async () => {
    const connections = connect(1);
    const swallowed = Transaction.run(connections, as('practice_a'), async (sql) => {
      await sql.query(fails).catch(() => undefined);
      return 'done';
    });
    await expect(swallowed).rejects.toThrow(/rolled back/);
  });

  it('refuses a statement that comes after its transaction ended', async () => {
    const connections = connect(1);
    const leaked = await Transaction.run(connections, as('practice_a'), (sql) => Promise.resolve(sql));
    await expect(leaked.query(patients)).rejects.toThrow(/after its transaction had ended/);
  });

  it('begins nothing once the deadline has passed', async () => {
    const connections = connect(1);
    const context = { ...freshContext({ correlationId: 'c', requestId: 'r', traceparent: undefined }), expired: true };
    await expect(
      Transaction.run(connections, { ...as('practice_a'), context }, () => Promise.resolve()),
    ).rejects.toBeInstanceOf(StatementCancelled);
  });

  it('refuses to start as a role that could get around row-level security', async () => {
    const roles = {
      [`attr_${randomBytes(4).toString('hex')}`]: 'BYPASSRLS',
      [`attr_${randomBytes(4).toString('hex')}`]: 'IN ROLE gatehouse_system',
    };
    const { DATABASE_URL } = world.environment;
    for (const [role, attributes] of Object.entries(roles)) {
      await world.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'test' IN ROLE gatehouse_app`);
      await world.sql(
        attributes.startsWith('IN ') ? `GRANT gatehouse_system TO ${role}` : `ALTER ROLE ${role} ${attributes}`,
      );
      const url = new URL(DATABASE_URL ?? '');
      url.username = role;
      url.password = 'test';
      const gate = GateProcess.spawn({ ...world.environment, DATABASE_URL: url.href });
      expect(await gate.ended()).toBe(1);
      expect(gate.log).toMatch(/role of DATABASE_URL is refused/);
      await world.sql(`DROP ROLE ${role}`);
    }
  });
});
