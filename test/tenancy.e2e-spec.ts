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

  it('asks what it remembers before it computes, until the key is deleted', async () => {
    const client = await world.clientOf('system');
    const remember = (...tenants: string[]) => client.query('SELECT remember_tenants($1)', [tenants]);
    await remember('practice_a', 'practice_b', 'practice_a');
    await remember('practice_b');
    await client.end();
    const codes = await world.sql<{ signed: string; tenant: string }>(
      'SELECT signed, tenant FROM tenant_codes ORDER BY 1',
    );
    expect(codes).toEqual([
      { signed: await world.signed('practice_a'), tenant: 'practice_a' },
      { signed: await world.signed('practice_b'), tenant: 'practice_b' },
    ]);
    const runtime = await world.runtimeClient();
    const seenAs = async (signed: string) => {
      await runtime.query(`SELECT set_config('gatehouse.tenant', $1, false)`, [signed]);
      return (await runtime.query<{ id: string }>('SELECT practice_id AS id FROM patients LIMIT 1')).rows[0]?.id;
    };
    // What no key signs is believed where it stands in the table, so the table is what was asked.
    await world.sql(`UPDATE tenant_codes SET signed = 'remembered' WHERE tenant = 'practice_b'`);
    expect(await seenAs('remembered')).toBe('practice_b');
    expect(await seenAs(await world.signed('practice_b'))).toBe('practice_b');
    await world.sql('SELECT make_tenant_key()');
    await world.sql('DELETE FROM tenant_keys WHERE id < (SELECT max(id) FROM tenant_keys)');
    expect(await world.sql('SELECT FROM tenant_codes')).toEqual([]);
    expect(await seenAs('remembered')).toBeUndefined();
    await runtime.end();
    signer = await TenantSigner.load(world.environment.DATABASE_SYSTEM_URL ?? '');
  });

  it('has Postgres told of each tenant that is signed, once, and again where it was not', async () => {
    const told: { tenants: readonly string[]; answer: (heard: boolean) => void }[] = [];
    const signing = (retryMs?: number) =>
      new TenantSigner(Buffer.alloc(64), (tenants) => new Promise((answer) => told.push({ tenants, answer })), retryMs);
    const telling = signing();
    const names = () => told.map(({ tenants }) => tenants);
    const answerLast = async (heard: boolean) => {
      told.at(-1)?.answer(heard);
      await new Promise(setImmediate);
    };
    for (const tenant of ['a', 'b', 'a', 'c']) telling.sign(tenant);
    expect(names()).toEqual([['a']]);
    await answerLast(true);
    expect(names()).toEqual([['a'], ['b', 'c']]);
    await answerLast(false);
    telling.sign('a');
    expect(told).toHaveLength(2); // neither at once nor for one that it was told of
    telling.sign('d');
    expect(names()[2]).toEqual(['b', 'c', 'd']);
    await answerLast(true);
    telling.sign('e');
    expect(names().slice(3)).toEqual([['e']]);
    signing(1).sign('f');
    await answerLast(false);
    await until(() => told.length === 6);
    expect(names().slice(4)).toEqual([['f'], ['f']]);
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
