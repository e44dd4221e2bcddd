import type pg from 'pg';
import { until } from '../../../test/support/until';
import { World } from '../../../test/support/world';
import { freshContext, type WorkClass, type WorkContext } from '../context';
import { Connections } from './connections';
import { DatabaseBusy, DatabaseUnavailable, StatementCancelled, ValueRefused } from './database.errors';
import { Reading, Readings } from './reading';
import { type Statement, statement } from './statement';
import { TenantSigner } from './tenant-signer';

const tenant = statement<{ tenant: string; pid: number }>(
  'test.tenant-and-pid',
  `SELECT gatehouse_tenant() AS tenant, pg_backend_pid() AS pid`,
);
/** Lasts until the test gives the lock of that number back. */
const slow = statement<{ pid: number }>(
  'test.slow',
  'SELECT pg_backend_pid() AS pid FROM (SELECT pg_advisory_xact_lock_shared($1::int)) locked',
);
const divide = statement('test.divide', 'SELECT 1 / (SELECT 0)');

describe('readings that share connections', () => {
  let world: World;
  let holder: pg.Client;
  let connections: Connections;
  let readings: Readings;
  let signer: TenantSigner;

  const open = (total: number, reservedForCritical = 0, preparedStatements = true) => {
    connections = new Connections({
      url: world.environment.DATABASE_URL ?? '',
      shares: { total, reservedForCritical, mostForBulk: 1 },
      applicationName: 'test-readings',
      statementTimeoutMs: 20_000,
      preparedStatements,
      onBroken: () => undefined,
      signer,
    });
    readings = new Readings(connections);
  };
  const contextOf = (name: string) => freshContext({ correlationId: name, requestId: name, traceparent: undefined });
  const read = <Row>(
    of: string,
    what: Statement<Row>,
    values: readonly unknown[] = [],
    { workClass = 'standard', context = contextOf(of) }: { workClass?: WorkClass; context?: WorkContext } = {},
  ) => Reading.run(readings, { tenant: of, workClass, context }, (sql) => sql.query(what, values));
  const quick = async (of: string, workClass: WorkClass = 'standard') =>
    (await read(of, tenant, [], { workClass }))[0]?.tenant;
  const hold = (lock: number) => holder.query('SELECT pg_advisory_lock($1)', [lock]);
  const release = () => holder.query('SELECT pg_advisory_unlock_all()');
  const held = () =>
    world.sql<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'test-readings' AND wait_event = 'advisory'`,
    );

  /** The session that waits for that lock. */
  const waiterFor = async (lock: number) => {
    const [found] = await world.sql<{ pid: number }>(
      `SELECT s.pid FROM pg_stat_activity s JOIN pg_locks l USING (pid)
       WHERE s.application_name = 'test-readings' AND l.locktype = 'advisory' AND l.objid = $1 AND NOT l.granted`,
      [lock],
    );
    return found?.pid;
  };

  /** Whether a session has not come to wait for that lock yet, and lives. */
  const isBefore = async (pid: number | undefined, lock: number) => {
    const found = await world.sql(
      `SELECT 1 FROM pg_stat_activity s WHERE pid = $1 AND NOT EXISTS (
         SELECT 1 FROM pg_locks WHERE pid = s.pid AND locktype = 'advisory' AND objid = $2 AND NOT granted)`,
      [pid, lock],
    );
    return found.length > 0;
  };

  beforeAll(async () => {
    world = await World.create();
    signer = await TenantSigner.load(world.environment.DATABASE_SYSTEM_URL ?? '');
    holder = await world.clientOf('superuser');
  });
  afterAll(async () => {
    await holder.end();
    await world.end();
  });
  afterEach(async () => {
    await release();
    await connections.close();
  });

  it('go over one connection, each with its own tenant, whatever becomes of the others', async () => {
    open(1);
    const connectionsOfAll = async () => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) =>
          n % 5 === 3 ? read(`practice_${n}`, divide) : read(`practice_${n}`, tenant),
        ),
      );
      const pids = new Set<number>();
      outcomes.forEach((outcome, n) => {
        if (n % 5 === 3) {
          expect(outcome).toMatchObject({ status: 'rejected', reason: { message: /refused/ } });
          return;
        }
        expect(outcome).toMatchObject({ status: 'fulfilled', value: [{ tenant: `practice_${n}` }] });
        if (outcome.status === 'fulfilled') pids.add((outcome.value as { pid: number }[])[0]?.pid ?? 0);
      });
      return pids.size;
    };
    // What a stall makes late is taken for slow, and what stands behind it goes elsewhere.
    const counts: number[] = [];
    while (counts.at(-1) !== 1 && counts.length < 5) counts.push(await connectionsOfAll());
    expect(counts.at(-1)).toBe(1);
  });

  it('are answered over others where they stand behind slow ones, and run no second time', async () => {
    open(4);
    await hold(1);
    await hold(2);
    const first = read('practice_a', slow, [1]);
    await until(async () => (await held()).length === 1);
    const second = read('practice_a', slow, [2]);
    await until(async () => (await held()).length === 2);
    // One of these is slow as well, and stands behind the first.
    const third = read('practice_a', slow, [2]);
    const tenants = ['practice_b', 'practice_c', 'practice_d', 'practice_e'];
    expect(await Promise.all(tenants.map((of) => quick(of)))).toEqual(tenants);
    await until(async () => (await held()).length === 3);
    await holder.query('SELECT pg_advisory_unlock(1)');
    await first;
    await until(async () => (await held()).length === 2);
    await release();
    await Promise.all([second, third]);
  });

  it('are answered where one before them is cancelled, which Postgres gives up', async () => {
    open(1);
    await hold(1);
    const context = contextOf('a');
    const cancelled = read('practice_a', slow, [1], { context });
    await until(async () => (await held()).length === 1);
    const behind = quick('practice_b');
    context.expired = true;
    context.cancelStatement?.();
    await expect(cancelled).rejects.toBeInstanceOf(StatementCancelled);
    expect(await behind).toBe('practice_b');
    expect(await held()).toHaveLength(0);
  });

  it('are left alone where one behind them is cancelled, or one that waits', async () => {
    open(1);
    await hold(1);
    const first = read('practice_a', slow, [1]);
    await until(async () => (await held()).length === 1);
    const contexts = Array.from({ length: 12 }, (_, n) => contextOf(String(n)));
    const others = contexts.map((context, n) => read(`practice_${n}`, tenant, [], { context }));
    const outcomes = Promise.allSettled(others);
    for (const n of [1, 10]) contexts[n]?.cancelStatement?.();
    await expect(others[1]).rejects.toBeInstanceOf(StatementCancelled);
    await expect(others[10]).rejects.toBeInstanceOf(StatementCancelled);
    await release();
    await first;
    const tenants = (await outcomes).map((one) => (one.status === 'fulfilled' ? one.value[0]?.tenant : 'cancelled'));
    expect(tenants).toEqual(contexts.map((_, n) => (n === 1 || n === 10 ? 'cancelled' : `practice_${n}`)));
  });

  it.each([
    [1, true],
    [5, false],
  ])('are sent over %i connections, where statements are prepared: %s', async (taken, preparedStatements) => {
    open(10, 0, preparedStatements);
    await quick('practice_w'); // the first answer of a session takes long
    const take = jest.spyOn(connections, 'take');
    // What a stall makes late is taken for slow, and what stands behind it goes elsewhere.
    for (let round = 0; round < 5 && take.mock.calls.length !== taken; round += 1) {
      take.mockClear();
      await Promise.all(Array.from({ length: 5 }, (_, n) => quick(`practice_${n}`)));
    }
    expect(take).toHaveBeenCalledTimes(taken);
  });

  it('are not hit by a cancellation that comes late', async () => {
    open(2);
    await hold(1);
    await hold(2);
    const context = contextOf('a');
    const cancelled = expect(read('practice_a', slow, [1], { context })).rejects.toBeInstanceOf(StatementCancelled);
    const other = read('practice_c', slow, [2]);
    await until(async () => (await held()).length === 2);
    const first = await waiterFor(1);
    const onLate = connections.cancel.bind(connections);
    jest.spyOn(connections, 'cancel').mockImplementationOnce(async (client) => {
      await holder.query('SELECT pg_advisory_unlock(1)');
      // Sooner than it is sent again for standing behind a slow one; or it was cancelled for that.
      while (await isBefore(first, 2));
      await onLate(client);
    });
    // It stands behind the first, and waits for a lock there when the cancellation comes.
    const behind = read('practice_b', slow, [2]);
    context.cancelStatement?.();
    await cancelled;
    await until(async () => !(await held()).some(({ pid }) => pid === first));
    await release();
    expect([await other, await behind]).toMatchObject([[{}], [{}]]);
  });

  it('are given up by Postgres where they were cancelled while another ran', async () => {
    open(1);
    await hold(1);
    await hold(2);
    const first = read('practice_a', slow, [1]);
    await until(async () => (await held()).length === 1);
    const context = contextOf('b');
    const cancelled = expect(read('practice_b', slow, [2], { context })).rejects.toBeInstanceOf(StatementCancelled);
    context.cancelStatement?.();
    await cancelled;
    const next = quick('practice_c');
    await holder.query('SELECT pg_advisory_unlock(1)');
    await first;
    expect(await next).toBe('practice_c');
  });

  it('are answered though the one before them failed before it had prepared their statement', async () => {
    open(1);
    const both = statement<{ n: number }>('test.both', 'SELECT 1 AS n');
    const failing = { name: 'test.failing', text: 'SELECT 1 / 0', values: [] };
    const context = contextOf('practice_a');
    const options = { tenant: 'practice_a', workClass: 'standard', context } as const;
    const first = Reading.run(readings, options, (sql) => sql.query(both, [], [failing]));
    const second = read('practice_b', both);
    await expect(first).rejects.toThrow(ValueRefused);
    expect(await second).toEqual([{ n: 1 }]);
  });

  it('tell why they fail, not why the one before them did not prepare their statement', async () => {
    open(1);
    const missing = statement('test.missing', 'SELECT FROM nowhere');
    for (const outcome of await Promise.allSettled([1, 2, 3].map(() => read('practice_a', missing))))
      expect(outcome).toMatchObject({ status: 'rejected', reason: { message: /"nowhere" does not exist/ } });
    expect(await quick('practice_b')).toBe('practice_b');
  });

  it('are sent again where one before them loses the connection', async () => {
    open(1);
    await hold(1);
    const lost = read('practice_a', slow, [1]);
    const refused = expect(lost).rejects.toBeInstanceOf(DatabaseUnavailable);
    await until(async () => (await held()).length === 1);
    const behind = [quick('practice_b'), quick('practice_c')];
    await world.sql('SELECT pg_terminate_backend($1)', [(await held())[0]?.pid]);
    await refused;
    expect(await Promise.all(behind)).toEqual(['practice_b', 'practice_c']);
  });

  it('leave a connection to whoever waits for one, and go on behind him', async () => {
    open(1);
    let isServed = false;
    let ended = 0;
    const client = async (_: unknown, n: number) => {
      while (!isServed) {
        await quick(`practice_${n}`);
        ended += 1;
      }
    };
    // More than share a connection: there is always one to be sent.
    const clients = Array.from({ length: 12 }, client);
    await until(() => ended > 50);
    const taken = await connections.take('standard');
    const behind = quick('practice_b');
    isServed = true;
    connections.give(taken, 'standard', false);
    expect(await behind).toBe('practice_b');
    await Promise.all(clients);
  });

  it('wait for no reading of another class', async () => {
    open(2, 1);
    await hold(1);
    const standard = read('practice_a', slow, [1]);
    await until(async () => (await held()).length === 1);
    expect(await quick('practice_b', 'critical')).toBe('practice_b');
    await release();
    await standard;
  });

  it('are refused at once where too many wait, and after a while where none is answered', async () => {
    open(1);
    await quick('practice_c'); // the connection is there
    await hold(1);
    const first = read('practice_a', slow, [1]);
    await new Promise(setImmediate); // it is sent; what follows comes in this same turn, before it counts as slow
    // What stands behind the slow one waits for another connection, too.
    const refused: string[] = [];
    const contexts = Array.from({ length: 16 + 7 }, (_, n) => contextOf(`practice_${n}`));
    const ask = (context: WorkContext) =>
      read('practice_b', tenant, [], { context }).catch((error: unknown) => {
        refused.push(error instanceof DatabaseBusy ? context.requestId : String(error));
      });
    const waiting = contexts.map(ask);
    await ask(contextOf('too many'));
    expect(refused).toEqual(['too many']);
    contexts[20]?.cancelStatement?.();
    const inItsPlace = ask(contextOf('in its place'));
    await waiting[20];
    expect(refused).toHaveLength(2);
    await Promise.all([...waiting, inItsPlace]);
    expect(refused).toHaveLength(2 + contexts.length);
    expect(await held()).toHaveLength(1);
    await release();
    await first;
    expect(await quick('practice_c')).toBe('practice_c');
  });
});
