import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import type pg from 'pg';
import { until } from '../../../test/support/until';
import { World } from '../../../test/support/world';
import type { WorkClass } from '../context';
import { Connections } from './connections';
import { DatabaseBusy } from './database.errors';
import { exchange } from './exchange';
import { statement } from './statement';

describe('the connections of a pool', () => {
  let world: World;
  let connections: Connections;

  beforeAll(async () => {
    world = await World.create();
  });
  afterAll(() => world.end());
  beforeEach(() => {
    connections = new Connections({
      url: world.environment.DATABASE_URL ?? '',
      shares: { total: 1, reservedForCritical: 0, mostForBulk: 1 },
      applicationName: 'test',
      statementTimeoutMs: 20_000,
      preparedStatements: true,
      onBroken: () => undefined,
    });
  });
  afterEach(() => connections.close());

  const give = (client: pg.PoolClient, workClass: WorkClass) => connections.give(client, workClass, false);
  /** Takes a connection, uses it, and gives it back. */
  const use = async (workClass: WorkClass, then: () => void) => {
    const client = await connections.take(workClass);
    then();
    await client.query('SELECT 1');
    give(client, workClass);
  };

  it('are all there for critical work once there is some, and are opened for nothing else', async () => {
    const several = new Connections({
      ...connections.settings,
      shares: { total: 4, reservedForCritical: 3, mostForBulk: 1 },
      applicationName: 'test-warm',
    });
    const open = () => world.sql(`SELECT 1 FROM pg_stat_activity WHERE application_name = 'test-warm'`);
    several.give(await several.take('standard'), 'standard', false);
    expect(await open()).toHaveLength(1);
    several.give(await several.take('critical'), 'critical', false);
    await until(async () => (await open()).length === 3);
    await several.close();
  });

  it.each([
    `SET DateStyle = 'SQL, DMY'`,
    `SET client_encoding = 'LATIN1'`,
    `SET TimeZone = 'Asia/Tokyo'`,
    `SET search_path = pg_catalog`,
    `DO $$ BEGIN SET standard_conforming_strings = off; END $$`,
  ])('end with a session that somebody changed: %s', async (change) => {
    const pid = statement<{ pid: number }>('test.pid', 'SELECT pg_backend_pid() AS pid');
    const [before] = await connections.query(pid, [], 'standard');
    await connections.query(statement('test.change', change), [], 'standard').catch(() => undefined);
    const [after] = await connections.query(pid, [], 'standard');
    expect(after?.pid).not.toBe(before?.pid);
    expect((await connections.query(pid, [], 'standard'))[0]?.pid).toBe(after?.pid);
  });

  it('tell nothing of what was answered together with the change of a session', async () => {
    // A way that passes Postgres's answers on together, once the last one is there.
    const answers: Buffer[] = [];
    const url = new URL(world.environment.DATABASE_URL ?? '');
    let holdsUntil = '';
    const way = createServer((near) => {
      const far = connect(Number(url.port), url.hostname);
      near.pipe(far).on('error', () => undefined);
      far.on('data', (bytes: Buffer) => {
        answers.push(bytes);
        if (!Buffer.concat(answers).includes(holdsUntil)) return;
        near.write(Buffer.concat(answers.splice(0)));
      });
      near.on('error', () => undefined).on('close', () => far.destroy());
    }).listen(0, url.hostname);
    await once(way, 'listening');
    const farUrl = new URL(url);
    farUrl.port = String((way.address() as AddressInfo).port);
    const held = new Connections({ ...connections.settings, url: farUrl.href });
    const client = await held.take('standard');
    const part = (text: string) => ({ name: undefined, text, values: [], reads: true });
    const ask = (text: string) => exchange(client, { parts: [part(text)] });
    expect(await ask(`SELECT 'before' AS word`)).toEqual([[{ word: 'before' }]]);
    holdsUntil = 'behind';
    const both = await Promise.allSettled([ask(`SET DateStyle = 'SQL, DMY'`), ask(`SELECT 'behind' AS word`)]);
    held.give(client, 'standard', true);
    await held.close();
    way.close();
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  it('have what the application means, whatever somebody set for their role', async () => {
    const asked = statement<Record<string, string>>(
      'test.settings',
      `SELECT name, setting FROM pg_settings WHERE name IN ('synchronous_commit', 'DateStyle', 'log_parameter_max_length_on_error',
         'TimeZone', 'IntervalStyle', 'search_path', 'debug_print_plan') ORDER BY name`,
    );
    const runtime = await world.runtimeClient();
    const own = [
      'synchronous_commit = off',
      `DateStyle = 'SQL, DMY'`,
      'log_parameter_max_length_on_error = -1',
      `TimeZone = 'Asia/Tokyo'`,
      `IntervalStyle = 'iso_8601'`,
      'search_path = pg_catalog',
      'debug_print_plan = on',
    ];
    // In this database alone: the role is that of all tests.
    const { rows } = await runtime.query<{ name: string }>('SELECT quote_ident(current_database()) AS name');
    const role = `ALTER ROLE CURRENT_USER IN DATABASE ${rows[0]?.name ?? ''}`;
    for (const setting of own) await runtime.query(`${role} SET ${setting}`);
    const fresh = new Connections({ ...connections.settings, applicationName: 'test-settings' });
    const found = (await fresh.query(asked, [], 'standard')).map(({ name, setting }) => [name, setting]);
    expect(Object.fromEntries(found)).toEqual({
      DateStyle: 'ISO, MDY',
      IntervalStyle: 'postgres',
      TimeZone: 'UTC',
      debug_print_plan: 'off',
      log_parameter_max_length_on_error: '0',
      search_path: 'public',
      synchronous_commit: 'on',
    });
    await fresh.close();
    await runtime.query(`${role} RESET ALL`);
    await runtime.end();
  });

  it('plan for an index while its table is small: the plan is kept when it is not any more', async () => {
    await world.sql(
      `CREATE TABLE small_yet AS SELECT 'a' AS id; ALTER TABLE small_yet ADD PRIMARY KEY (id);
       GRANT SELECT ON small_yet TO gatehouse_app; ANALYZE small_yet`,
    );
    const plan = statement<{ 'QUERY PLAN': string }>('test.plan', `EXPLAIN SELECT FROM small_yet WHERE id = 'a'`);
    const lines = await connections.query(plan, [], 'standard');
    expect(lines.map((line) => line['QUERY PLAN']).join('\n')).toMatch(/Index/);
  });

  it('refuse at once who would wait behind too many of its class, and nobody else', async () => {
    const held = await connections.take('standard');
    const ended: string[] = [];
    const waiting = Array.from({ length: 16 }, (_, n) => use('standard', () => ended.push(`standard ${n}`)));
    const refused = use('standard', () => ended.push('one more')).catch((error: unknown) => {
      ended.push(error instanceof DatabaseBusy ? 'refused' : String(error));
    });
    const critical = use('critical', () => ended.push('critical'));
    await refused;
    expect(ended).toEqual(['refused']);
    give(held, 'standard');
    await Promise.all([critical, ...waiting]);
    expect(ended).toEqual(['refused', 'critical', ...waiting.map((_, n) => `standard ${n}`)]);
  });

  it('go to critical work first, then to who came first', async () => {
    const held = await connections.take('bulk');
    const order: string[] = [];
    const wanted: readonly [WorkClass, string][] = [
      ['standard', 'a'],
      ['bulk', 'b'],
      ['critical', 'c'],
      ['standard', 'd'],
      ['critical', 'e'],
    ];
    const waiting = wanted.map(([workClass, name]) => use(workClass, () => order.push(name)));
    give(held, 'bulk');
    await Promise.all(waiting);
    expect(order).toEqual(['c', 'e', 'a', 'b', 'd']);
  });

  it('are replaced where they broke behind their last answer, before anybody else gets them', async () => {
    const client = await connections.take('standard');
    const next = connections.take('standard');
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const broken = once(client, 'error');
    await world.sql('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
    await broken;
    give(client, 'standard');
    const other = await next;
    await other.query('SELECT 1');
    give(other, 'standard');
  });

  it('are not kept for somebody who waited too long and went away', async () => {
    const held = await connections.take('standard');
    await expect(connections.take('standard')).rejects.toBeInstanceOf(DatabaseBusy);
    give(held, 'standard');
    give(await connections.take('bulk'), 'bulk');
  });
});
