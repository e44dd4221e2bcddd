import { seedPractice } from '../../../test/support/practice';
import { until } from '../../../test/support/until';
import { World } from '../../../test/support/world';
import { Connections } from './connections';
import { begin, enter, enterReading } from './message';
import { statement } from './statement';
import { Reading, Readings } from './reading';
import { TenantSigner } from './tenant-signer';
import { Transaction } from './transaction';

const tenantNow = statement<{ tenant: string }>('test.tenant', `SELECT coalesce(gatehouse_tenant(), '') AS tenant`);
const names = statement<{ name: string }>('test.names', 'SELECT last_name AS name FROM patients');
const divide = statement('test.divide', 'SELECT 1 / (SELECT 0)');
const setName = statement('test.set-name', 'UPDATE patients SET last_name = $1');
const rename = statement('test.rename', `UPDATE patients SET last_name = 'Changed'`);

const write = { tenant: 'practice_a', workClass: 'standard' } as const;
type Run = <Result>(work: (sql: Pick<Transaction, 'query'>) => Promise<Result>) => Promise<Result>;

const none = { tenant: undefined, workClass: 'standard' } as const;

describe.each([
  ['prepared statements', true],
  ['statements without names', false],
])('a transaction on a connection with %s', (_, preparedStatements) => {
  let world: World;
  let connections: Connections;
  let broken: Error[];
  let readings: Readings;
  const read: Run = (work) => Reading.run(readings, write, work);
  const change: Run = (work) => Transaction.run(connections, write, work);

  beforeAll(async () => {
    world = await World.create();
    await seedPractice(world, 'a', { patients: 1, slots: 1 });
    connections = new Connections({
      url: world.environment.DATABASE_URL ?? '',
      shares: { total: 1, reservedForCritical: 0, mostForBulk: 1 },
      applicationName: 'test',
      statementTimeoutMs: 5_000,
      preparedStatements,
      onBroken: (error) => broken.push(error),
      signer: await TenantSigner.load(world.environment.DATABASE_SYSTEM_URL ?? ''),
    });
    readings = new Readings(connections);
  });
  beforeEach(() => (broken = []));
  afterAll(async () => {
    await connections.close();
    await world.end();
  });

  it('cannot change a row where it only reads', async () => {
    await expect(read((sql) => sql.query(rename))).rejects.toThrow(/read-only transaction/);
    expect(await read((sql) => sql.query(names))).toEqual([{ name: 'Last0001' }]);
  });

  it('leaves the one connection without its tenant and able to write, though nobody waited for its end', async () => {
    const other = { tenant: 'practice_b', workClass: 'standard' } as const;
    const results = await Promise.all([
      read((sql) => sql.query(tenantNow)),
      Reading.run(readings, other, (sql) => sql.query(tenantNow)),
      Reading.run(readings, none, (sql) => sql.query(tenantNow)),
      Transaction.run(connections, other, (sql) => sql.query(rename)),
      Reading.run(readings, none, (sql) => sql.query(names)),
    ]);
    expect(results.slice(0, 2).flat()).toEqual([{ tenant: 'practice_a' }, { tenant: 'practice_b' }]);
    expect(results[2]).toEqual([{ tenant: '' }]);
    expect(results[4]).toEqual([]);
    expect(broken).toEqual([]);
  });

  it('has its tenant in each statement, sent one behind the other or after its answer', async () => {
    for (const run of [read, change]) {
      const seen = await run(async (sql) => [
        ...(await Promise.all([sql.query(tenantNow), sql.query(names)])),
        await sql.query(tenantNow),
      ]);
      expect(seen).toEqual([[{ tenant: 'practice_a' }], [{ name: 'Last0001' }], [{ tenant: 'practice_a' }]]);
    }
  });

  it('is undone whole where its second statement fails', async () => {
    const failing = Transaction.run(connections, write, async (sql) => {
      await sql.query(rename);
      await sql.query(divide);
    });
    await expect(failing).rejects.toThrow(/value was refused/);
    expect(await read((sql) => sql.query(names))).toEqual([{ name: 'Last0001' }]);
  });

  it('is not committed where a failure of its first statement was overlooked', async () => {
    const overlooked = Transaction.run(connections, write, (sql) => sql.query(divide).catch(() => undefined));
    await expect(overlooked).rejects.toThrow(/rolled back: one of its statements failed/);
  });

  it('leaves the connection to others where Postgres refused its only statement', async () => {
    const missing = statement<{ one: number }>('test.missing', 'SELECT 1 AS one FROM made_later');
    for (const run of [read, change]) {
      await expect(run((sql) => sql.query(missing))).rejects.toThrow(/made_later/);
      await expect(run((sql) => sql.query(divide))).rejects.toThrow(/value was refused/);
    }
    await world.sql('CREATE TABLE made_later AS SELECT 1; GRANT SELECT ON made_later TO gatehouse_app');
    // The same name on the same connection: what never was prepared is not taken for prepared.
    for (const run of [read, change]) {
      expect(await run((sql) => sql.query(missing))).toEqual([{ one: 1 }]);
    }
    await world.sql('DROP TABLE made_later');
    expect(broken).toEqual([]);
  });

  it('runs what is sent behind another in the same transaction, and not at all where the other failed', async () => {
    const named = (value: string) => ({ ...setName, values: [value] });
    const seen = await Transaction.run(connections, write, async (sql) => [
      await sql.query(names, [], [named('First')]),
      await sql.query(names, [], [named('Second'), named('Third')]),
      await sql.query(names),
    ]);
    expect(seen.flat().map(({ name }) => name)).toEqual(['First', 'Third', 'Third']);
    for (const run of [change, read]) {
      const failing = run((sql) => sql.query(rename, [], [{ ...divide, values: [] }, named('Fourth')]));
      await expect(failing).rejects.toThrow(/value was refused/);
    }
    expect(await Transaction.run(connections, write, (sql) => sql.query(names, [], [named('Last0001')]))).toEqual([
      { name: 'Last0001' },
    ]);
    expect(broken).toEqual([]);
  });

  it('commits with its last statement, or not at all', async () => {
    const committed = Transaction.run(connections, write, async (sql) => {
      await sql.queryAndCommit(setName, ['Kept']);
      await expect(sql.query(names)).rejects.toThrow(/after its transaction had ended/);
    });
    await committed;
    expect(await read((sql) => sql.query(names))).toEqual([{ name: 'Kept' }]);
    const failed = Transaction.run(connections, write, async (sql) => {
      await sql.query(setName, ['Lost']);
      await sql.queryAndCommit(divide, []);
    });
    await expect(failed).rejects.toThrow(/value was refused/);
    const overlooked = Transaction.run(connections, write, async (sql) => {
      await sql.query(divide).catch(() => undefined);
      await sql.queryAndCommit(setName, ['Lost']);
    });
    await expect(overlooked).rejects.toThrow(/transaction is aborted/);
    expect(await read((sql) => sql.query(names))).toEqual([{ name: 'Kept' }]);
    await Transaction.run(connections, write, (sql) => sql.queryAndCommit(setName, ['Last0001']));
  });

  it('gives its connection on behind its end; once that was answered, where a pooler may stand between', async () => {
    const order: string[] = [];
    const give = connections.give.bind(connections);
    jest.spyOn(connections, 'give').mockImplementationOnce((...given) => {
      order.push('given');
      give(...given);
    });
    await Transaction.run(connections, write, async (sql) => {
      await sql.query(names);
      sql.endReading();
      void (sql as unknown as { ending: Promise<void> }).ending.then(() => order.push('answered'));
    });
    await until(() => order.length === 2);
    expect(order).toEqual(preparedStatements ? ['given', 'answered'] : ['answered', 'given']);
  });

  it('takes no statement once it has ended', async () => {
    const late = Reading.run(readings, write, async (sql) => {
      sql.endReading();
      await sql.query(names);
    });
    await expect(late).rejects.toThrow(/after its transaction had ended/);
  });

  it('does not take for done what never reached Postgres, and gives nothing of it to the next', async () => {
    const unsayable = {
      toPostgres() {
        throw new Error('unsayable');
      },
    };
    const swallowed: readonly ((sql: Transaction) => Promise<unknown>)[] = [
      (sql) => sql.query(setName, [unsayable]),
      (sql) => sql.queryAndCommit(setName, [unsayable]),
      (sql) => sql.query(setName, [unsayable]).catch(() => sql.queryAndCommit(setName, ['Lost as well'])),
    ];
    for (const send of swallowed) {
      const done = Transaction.run(connections, write, async (sql) => {
        await sql.query(setName, ['Lost']);
        await send(sql).catch(() => undefined);
      });
      await expect(done).rejects.toThrow('unsayable');
      expect(await read((sql) => sql.query(names))).toEqual([{ name: 'Last0001' }]);
      for (let n = 0; n < 2; n += 1)
        await Transaction.run(connections, write, (sql) => sql.query(setName, ['Last0001']));
    }
    const refused = Transaction.run(connections, write, (sql) => sql.queryAndCommit(divide, []).catch(() => undefined));
    await expect(refused).rejects.toThrow(/value was refused/);
  });

  it('keeps its connection where something is refused behind its commit, or fails at it', async () => {
    await world.sql(
      `CREATE TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED); GRANT ALL ON late TO gatehouse_app`,
    );
    const pid = statement<{ pid: number }>('test.pid', 'SELECT pg_backend_pid() AS pid');
    const twice = statement('test.twice', 'INSERT INTO late VALUES (1), (1)');
    const pids = new Set<number>();
    for (let n = 0; n < 3; n += 1) {
      const refused = Transaction.run(connections, write, async (sql) => {
        for (const row of await sql.queryAndCommit(pid, [])) pids.add(row.pid);
        throw new Error('refused');
      });
      await expect(refused).rejects.toThrow('refused');
      await expect(Transaction.run(connections, write, (sql) => sql.queryAndCommit(twice, []))).rejects.toThrow();
      await expect(Transaction.run(connections, write, (sql) => sql.query(twice))).rejects.toThrow();
    }
    expect(pids.size).toBe(1);
    expect(await world.sql('SELECT FROM late')).toHaveLength(0);
    await world.sql('DROP TABLE late');
  });

  it('may use one statement with others and alone', async () => {
    const both = statement('test.both', 'SELECT 1');
    await Transaction.run(connections, write, async (sql) => {
      await sql.query(both);
      await sql.query(names, [], [{ ...both, values: [] }]);
      await sql.query(both);
    });
    expect(broken).toEqual([]);
  });

  if (preparedStatements)
    it.each([
      ['begin', () => change],
      ['enter', () => change],
      ['enter-reading', () => read],
    ] as const)('runs nothing where "%s" fails before it, and gives the connection up', async (lost, runOf) => {
      const run = runOf();
      await world.sql('GRANT EXECUTE ON FUNCTION pg_prepared_statement() TO gatehouse_api');
      const textOf = { begin: begin.text, enter: enter.text, 'enter-reading': enterReading.text };
      await world.sql('CREATE TABLE free (n int); GRANT ALL ON free TO gatehouse_app');
      const forget = statement(
        `test.forget-${lost}`,
        `DO $$ BEGIN EXECUTE (SELECT format('DEALLOCATE %I', name) FROM pg_prepared_statements WHERE statement = '${textOf[lost].replaceAll("'", "''")}'); END $$`,
      );
      const note = statement(`test.note-${lost}`, 'INSERT INTO free VALUES (1)');
      await run((sql) => sql.query(names)); // on this connection it is known
      await Transaction.run(connections, write, (sql) => sql.query(forget));
      const failing = run((sql) =>
        Promise.allSettled([sql.query(rename), sql.query(note)]).then((outcomes) => {
          for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
        }),
      );
      const next = read((sql) => sql.query(names));
      await expect(failing).rejects.toThrow();
      expect(await next).toEqual([{ name: 'Last0001' }]);
      expect(await world.sql('SELECT FROM free')).toHaveLength(0);
      await world.sql('DROP TABLE free');
      await world.sql('REVOKE EXECUTE ON FUNCTION pg_prepared_statement() FROM gatehouse_api');
    });

  if (preparedStatements)
    it('prepares anew what somebody deallocated', async () => {
      await read((sql) => sql.query(names));
      await Transaction.run(connections, write, (sql) => sql.query(statement('test.forget-all', 'DEALLOCATE ALL')));
      expect(await read((sql) => sql.query(names))).toEqual([{ name: 'Last0001' }]);
    });

  it.each(['BEGIN', 'COMMIT', 'ROLLBACK', 'COMMIT AND CHAIN', 'SAVEPOINT mine'])(
    'gives the connection up after a statement that says %s itself, and reports nothing as done',
    async (control) => {
      await world.sql('CREATE TABLE free (n int); GRANT ALL ON free TO gatehouse_app');
      const note = statement('test.note', 'INSERT INTO free VALUES (1)');
      const meddle = statement(`test.meddle-${control}`, control);
      const pid = statement<{ pid: number }>('test.pid', 'SELECT pg_backend_pid() AS pid');
      const before = await read((sql) => sql.query(pid));
      const done = Transaction.run(connections, write, async (sql) => {
        await sql.query(note);
        await sql.query(meddle);
        return 'done';
      });
      await expect(done).rejects.toThrow();
      const after = await read((sql) => sql.query(pid));
      expect(after).not.toEqual(before);
      await world.sql('DROP TABLE free');
    },
  );
});
