import { seedPractice } from '../../../test/support/practice';
import { World } from '../../../test/support/world';
import { Connections } from './connections';
import { statement } from './statement';
import { Transaction } from './transaction';

const tenantNow = statement<{ tenant: string }>(
  'test.tenant',
  `SELECT current_setting('gatehouse.tenant', true) AS tenant`,
);
const names = statement<{ name: string }>('test.names', 'SELECT last_name AS name FROM patients');
const rename = statement('test.rename', `UPDATE patients SET last_name = 'Changed'`);

describe('a transaction that only reads', () => {
  let world: World;
  let connections: Connections;
  const broken: Error[] = [];

  beforeAll(async () => {
    world = await World.create();
    await seedPractice(world, 'a', { patients: 1, slots: 1 });
    connections = new Connections({
      url: world.environment.DATABASE_URL ?? '',
      shares: { total: 1, reservedForCritical: 0, mostForBulk: 1 },
      applicationName: 'test',
      statementTimeoutMs: 5_000,
      preparedStatements: true,
      onBroken: (error) => broken.push(error),
    });
  });
  afterAll(async () => {
    await connections.close();
    await world.end();
  });

  const read = { tenant: 'practice_a', workClass: 'standard', readOnly: true } as const;

  it('cannot change a row', async () => {
    await expect(Transaction.run(connections, read, (sql) => sql.query(rename))).rejects.toThrow(
      /read-only transaction/,
    );
    expect(await Transaction.run(connections, read, (sql) => sql.query(names))).toEqual([{ name: 'Last0001' }]);
  });

  it('leaves the one connection without its tenant and able to write, though nobody waited for its end', async () => {
    const write = { tenant: 'practice_b', workClass: 'standard' } as const;
    const none = { tenant: undefined, workClass: 'standard' } as const;
    const results = await Promise.all([
      Transaction.run(connections, read, (sql) => sql.query(tenantNow)),
      Transaction.run(connections, write, (sql) => sql.query(tenantNow)),
      Transaction.run(connections, none, (sql) => sql.query(tenantNow)),
      Transaction.run(connections, write, (sql) => sql.query(rename)),
      Transaction.run(connections, none, (sql) => sql.query(names)),
    ]);
    expect(results.slice(0, 3).flat()).toEqual([{ tenant: 'practice_a' }, { tenant: 'practice_b' }, { tenant: '' }]);
    expect(results[4]).toEqual([]);
    expect(broken).toEqual([]);
  });

  it('takes no statement once it has ended', async () => {
    const late = Transaction.run(connections, read, async (sql) => {
      sql.endReading();
      await sql.query(names);
    });
    await expect(late).rejects.toThrow(/after its transaction had ended/);
  });
});
