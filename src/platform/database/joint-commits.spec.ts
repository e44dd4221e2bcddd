import fc from 'fast-check';
import { Client } from 'pg';
import { seedPractice } from '../../../test/support/practice';
import { SlowWay } from '../../../test/support/slow-way';
import { until } from '../../../test/support/until';
import { World } from '../../../test/support/world';
import { freshContext, type WorkContext } from '../context';
import { Connections, type ConnectionSettings } from './connections';
import { DatabaseBusy, DatabaseUnavailable, StatementCancelled, ValueRefused } from './database.errors';
import { JointCommits } from './joint-commits';
import { statement } from './statement';
import { TenantSigner } from './tenant-signer';

/** $1 the id, $2 what is added to its list. Gives the transaction that did it. */
const add = statement<{ id: string; transaction: string; list: string }>(
  'test.add',
  `UPDATE joint SET list = list || $2 WHERE id = $1
   RETURNING id, list, pg_current_xact_id()::text AS transaction`,
);
const addChecked = statement<{ id: string }>('test.add-checked', `${add.text}, 1 / length($2)`);
const keepCursor = statement(
  'test.keep-cursor',
  `DECLARE kept CURSOR WITH HOLD FOR SELECT current_setting('gatehouse.tenant', true) AS signed, list FROM joint`,
);
const fetchCursor = statement<{ signed: string; list: string }>('test.fetch-cursor', 'FETCH ALL FROM kept');
const endSession = statement('test.end-session', 'SELECT pg_terminate_backend(pg_backend_pid())');

describe.each([
  ['prepared statements', true],
  ['statements without names', false],
])('what several requests change, with %s', (_, preparedStatements) => {
  let world: World;
  let connections: Connections;
  let joint: JointCommits;
  let holder: Client;
  let signer: TenantSigner;
  const ids = Array.from({ length: 40 }, (__, n) => String(n).padStart(2, '0'));

  beforeAll(async () => {
    world = await World.create();
    signer = await TenantSigner.load(world.environment.DATABASE_SYSTEM_URL ?? '');
    await seedPractice(world, 'a', { patients: 1, slots: 1 });
    await world.sql(`
      CREATE TABLE joint (tenant text NOT NULL, id text PRIMARY KEY, list text NOT NULL DEFAULT '');
      SELECT keep_to_tenant('joint', 'tenant');
      GRANT SELECT, UPDATE ON joint TO gatehouse_app`);
  });
  beforeEach(async () => {
    await world.sql(`DELETE FROM joint`);
    for (const id of ids) await world.sql(`INSERT INTO joint (tenant, id) VALUES ('tenant_${id}', '${id}')`);
    connections = connect(4);
    joint = new JointCommits(connections);
    holder = new Client({ connectionString: world.superuserUrl });
    await holder.connect();
  });
  afterEach(async () => {
    await holder.end();
    await connections.close();
  });
  afterAll(() => world.end());

  const connect = (total: number, settings: Partial<ConnectionSettings> = {}) =>
    new Connections({
      url: world.environment.DATABASE_URL ?? '',
      shares: { total, reservedForCritical: 0, mostForBulk: 1 },
      applicationName: 'test-joint',
      statementTimeoutMs: 600_000,
      preparedStatements,
      onBroken: () => undefined,
      signer,
      ...settings,
    });
  const optionsOf = (id: string, context?: WorkContext) =>
    ({ tenant: `tenant_${id}`, workClass: 'standard', context }) as const;
  const commit = (id: string, text = 'x', by = joint) => by.commit(add, [id, text], id, optionsOf(id));
  const lists = async (): Promise<Map<string, string>> => {
    const rows = await world.sql<{ id: string; list: string }>('SELECT id, list FROM joint ORDER BY id');
    return new Map(rows.map(({ id, list }) => [id, list]));
  };
  const hold = async (id: string) => {
    await holder.query('BEGIN');
    await holder.query('SELECT FROM joint WHERE id = $1 FOR UPDATE', [id]);
  };

  it('shares transactions, and each gets its own rows', async () => {
    const found = await Promise.all(ids.map((id) => commit(id, `list of ${id}`)));
    expect(found.map(([row]) => row?.id)).toEqual(ids);
    expect(new Set(found.map(([row]) => row?.transaction)).size).toBe(5);
    expect([...(await lists()).values()]).toEqual(ids.map((id) => `list of ${id}`));
  });

  it('is seen and changed under its own tenant alone', async () => {
    const found = await Promise.all([
      commit('00'),
      joint.commit(add, ['01', 'stolen'], '01', optionsOf('02')),
      joint.commit(add, ['03', 'stolen'], '03', { tenant: undefined, workClass: 'standard' }),
      commit('04'),
    ]);
    expect(found.map((rows) => rows.length)).toEqual([1, 0, 0, 1]);
    expect((await lists()).get('01')).toBe('');
    expect((await lists()).get('03')).toBe('');
  });

  it('shows nothing of the others to a cursor that one of them keeps', async () => {
    const one = connect(1);
    const jointly = new JointCommits(one);
    const opened = [
      jointly.commit(keepCursor, [], '00', optionsOf('00')),
      commit('01', 'secret', jointly),
      commit('02', 'secret', jointly),
    ];
    await Promise.all(opened);
    expect(await jointly.commit(fetchCursor, [], '00', optionsOf('00'))).toEqual([]);
    await one.close();
  });

  it('of one row keeps, in one transaction, the order in which it came', async () => {
    const found = await Promise.all(Array.from('abcdefgh', (letter) => commit('07', letter)));
    expect(new Set(found.map(([row]) => row?.transaction)).size).toBe(1);
    expect((await lists()).get('07')).toBe('abcdefgh');
  });

  it('is made by itself where another part of its transaction fails, which fails alone', async () => {
    const outcomes = await Promise.allSettled([
      commit('00'),
      joint.commit(addChecked, ['01', ''], '01', optionsOf('01')),
      joint.commit(add, ['02', 'NUL \0'], '02', optionsOf('02')),
      commit('03'),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    for (const outcome of outcomes.slice(1, 3))
      expect(outcome.status === 'rejected' && outcome.reason).toBeInstanceOf(ValueRefused);
    const changed = await lists();
    expect(ids.slice(0, 4).map((id) => changed.get(id))).toEqual(['x', '', '', 'x']);
    expect(await commit('00')).toHaveLength(1);
  });

  it('does not wait for a lock that another one waits for', async () => {
    await hold('05');
    const held = [commit('05', 'a'), commit('05', 'b')];
    const others = await Promise.all([commit('00'), commit('09')]);
    expect(new Set(others.map(([row]) => row?.transaction)).size).toBe(1);
    // What needs the same lock is kept out of the batches from now on: none of these fails, and none waits.
    held.push(commit('05', 'c'));
    const later = await Promise.all(ids.slice(10, 18).map((id) => commit(id)));
    expect(new Set(later.map(([row]) => row?.transaction)).size).toBe(1);
    await holder.query('COMMIT');
    await Promise.all(held);
    expect((await lists()).get('05')).toBe('abc');
    // And may share again.
    const again = await Promise.all([commit('04'), commit('05')]);
    expect(new Set(again.map(([row]) => row?.transaction)).size).toBe(1);
  });

  it('shares again soon after one failed, though more and more is to be done', async () => {
    const made = new Set<string | undefined>();
    let posts = 0;
    const client = async () => {
      for (let n = 0; n < 40; n += 1) {
        const [row] = await commit('05');
        if (n < 20) continue;
        made.add(row?.transaction);
        posts += 1;
      }
    };
    const bad = joint.commit(addChecked, ['05', ''], '05', optionsOf('05'));
    await Promise.all([expect(bad).rejects.toBeInstanceOf(ValueRefused), ...Array.from({ length: 12 }, client)]);
    expect(posts / made.size).toBeGreaterThan(2);
  });

  it('goes on over the same connection without the one that failed, which waits for another', async () => {
    const narrow = connect(1);
    const by = new JointCommits(narrow);
    const bad = by.commit(addChecked, ['01', ''], '01', optionsOf('01'));
    const good = [commit('00', 'x', by), commit('02', 'x', by)];
    // The line is full as soon as the connection is taken: 16 may wait for it.
    const readers = Array.from({ length: 16 }, async () => {
      await Promise.resolve();
      narrow.give(await narrow.take('standard'), 'standard', false);
    });
    expect((await Promise.all(good)).map((rows) => rows.length)).toEqual([1, 1]);
    await expect(bad).rejects.toBeInstanceOf(ValueRefused);
    await Promise.all(readers);
    await narrow.close();
  });

  it('is turned away where too much waits for one lock, and that turns nobody else away', async () => {
    await hold('05');
    const held = [commit('05')];
    await commit('00'); // behind the batch that gave the lock up
    held.push(...Array.from({ length: 16 }, () => commit('05')));
    await expect(commit('05')).rejects.toBeInstanceOf(DatabaseBusy);
    expect(await Promise.all(Array.from({ length: 96 }, () => commit('01')))).toHaveLength(96);
    await holder.query('COMMIT');
    await Promise.all(held);
    expect((await lists()).get('05')).toHaveLength(17);
  });

  it('is carried by the lane that has a place in the line, where the line has no other', async () => {
    const narrow = connect(1);
    const by = new JointCommits(narrow);
    const client = await narrow.take('standard');
    const readers = Array.from({ length: 15 }, async () =>
      narrow.give(await narrow.take('standard'), 'standard', false),
    );
    const first = commit('00', 'x', by);
    await new Promise(setImmediate);
    const second = Array.from({ length: 10 }, () => commit('01', 'x', by));
    await new Promise(setImmediate);
    narrow.give(client, 'standard', false);
    await Promise.all([first, ...second, ...readers]);
    expect((await lists()).get('01')).toHaveLength(10);
    await narrow.close();
  });

  it('never waits for each other in a circle, from whichever process it comes', async () => {
    const circles = async () => {
      const text = 'SELECT deadlocks::int AS count FROM pg_stat_database WHERE datname = current_database()';
      return (await world.sql<{ count: number }>(text))[0]?.count;
    };
    const before = await circles();
    // Whoever waits in a circle is found before it gives up its lock by itself.
    const { rows } = await holder.query<{ name: string }>('SELECT quote_ident(current_database()) AS name');
    const database = `ALTER DATABASE ${rows[0]?.name ?? ''}`;
    await world.sql(`${database} SET deadlock_timeout = '5ms'`);
    const [first, second] = [
      connect(4, { applicationName: 'test-circle' }),
      connect(4, { applicationName: 'test-circle' }),
    ];
    const [byFirst, bySecond] = [new JointCommits(first), new JointCommits(second)];
    const expected = new Map(ids.map((id) => [id, 0]));
    const rounds = fc.sample(fc.array(fc.constantFrom(...ids.slice(0, 10)), { minLength: 20, maxLength: 20 }), {
      numRuns: 40,
      seed: 1,
    });
    try {
      for (const round of rounds) {
        const found = await Promise.all(round.map((id, at) => commit(id, 'x', at % 2 === 0 ? byFirst : bySecond)));
        expect(found).toHaveLength(round.length);
        for (const id of round) expected.set(id, (expected.get(id) ?? 0) + 1);
      }
    } finally {
      await Promise.all([first.close(), second.close()]);
      await world.sql(`${database} RESET deadlock_timeout`);
    }
    expect(new Map([...(await lists())].map(([id, { length }]) => [id, length]))).toEqual(expected);
    // A session tells what it met at its end.
    const sessions = () =>
      world.sql(`SELECT FROM pg_stat_activity WHERE application_name = 'test-circle' AND datname = current_database()`);
    await until(async () => (await sessions()).length === 0);
    expect(await circles()).toBe(before);
  });

  it('leaves with a request that has no time left while it waits for a connection, and not later', async () => {
    const narrow = connect(1);
    const by = new JointCommits(narrow);
    const client = await narrow.take('standard');
    const context = freshContext({ correlationId: 'c', requestId: 'r', traceparent: undefined });
    const late = by.commit(add, ['00', 'late'], '00', optionsOf('00', context));
    const inTime = by.commit(add, ['01', 'in time'], '01', optionsOf('01'));
    context.expired = true;
    context.cancelStatement?.();
    await expect(late).rejects.toBeInstanceOf(StatementCancelled);
    narrow.give(client, 'standard', false);
    await inTime;
    await expect(by.commit(add, ['00', 'late'], '00', optionsOf('00', context))).rejects.toBeInstanceOf(
      StatementCancelled,
    );
    expect((await lists()).get('00')).toBe('');
    await narrow.close();
  });

  it('is turned away where too much waits', async () => {
    const narrow = connect(1);
    const by = new JointCommits(narrow);
    const client = await narrow.take('standard');
    const waiting = Array.from({ length: 96 }, () => commit('00', 'x', by));
    await expect(commit('01', 'x', by)).rejects.toBeInstanceOf(DatabaseBusy);
    narrow.give(client, 'standard', false);
    await Promise.all(waiting);
    expect((await lists()).get('00')).toHaveLength(96);
    await narrow.close();
  });

  it('is not made again where nobody knows whether it was made', async () => {
    const outcomes = await Promise.allSettled([
      commit('04'),
      joint.commit(endSession, [], '05', optionsOf('05')),
      commit('06'),
    ]);
    for (const outcome of outcomes)
      expect(outcome.status === 'rejected' && outcome.reason).toBeInstanceOf(DatabaseUnavailable);
    expect((await lists()).get('04')).toBe('');
    expect(await commit('04')).toHaveLength(1); // on another connection
  });

  it('is given up where Postgres says nothing more', async () => {
    const way = await SlowWay.start(world.environment.DATABASE_URL ?? '');
    const far = connect(4, { url: way.url, statementTimeoutMs: 1_500 });
    const by = new JointCommits(far);
    await commit('00', 'a', by);
    way.lateMs = 5_000;
    await expect(commit('00', 'b', by)).rejects.toBeInstanceOf(DatabaseUnavailable);
    way.lateMs = 0;
    await commit('00', 'c', by);
    await far.close();
    way.end();
  });

  it('is committed by itself where its work is critical or bulk', async () => {
    const classes = ['critical', 'bulk', 'critical'] as const;
    const found = await Promise.all(
      classes.map((workClass, n) => joint.commit(add, [`0${n}`, 'x'], `0${n}`, { tenant: `tenant_0${n}`, workClass })),
    );
    expect(new Set(found.map(([row]) => row?.transaction)).size).toBe(3);
  });
});
