import { existsSync } from 'node:fs';
import { lockRows, type Outcome, practiceCount, seedCrowd, sendCrowd } from './support/crowd';
import { PgBouncer } from './support/pgbouncer';
import { World } from './support/world';

/** Room for a busy machine, which is no failure. */
jest.setTimeout(900_000);

/** A change of a locked row ends here; nothing else of the crowd takes as long. */
const deadlineMs = 1_500;

function expectIsolated({ counts, rowsChecked, wrong }: Outcome, total: number): void {
  const of = (what: string) => counts.get(what) ?? 0;
  const sumOf = (kinds: [string, number][]) => kinds.reduce((all, [, n]) => all + n, 0);
  // What a machine turned away that was too busy for it is no part of what follows.
  const served = total - sumOf([...counts].filter(([kind]) => /^(?!stuck).* 50[34]$/.test(kind)));
  expect(wrong).toEqual([]);
  expect(sumOf([...counts])).toBe(total);
  expect(served).toBeGreaterThan(total * 0.8);
  // Each kind really happened: most were served, and what should be refused was.
  expect(of('own 200')).toBeGreaterThan(served * 0.7);
  expect(of('changed 200')).toBeGreaterThan(served * 0.015);
  expect(rowsChecked).toBeGreaterThan(of('own 200'));
  expect(of('foreign 403')).toBeGreaterThan(served * 0.03);
  expect(of('unknown 404')).toBeGreaterThan(served * 0.03);
  expect(of('abandoned gone')).toBeGreaterThan(served * 0.01);
  expect(of('stuck 504')).toBeGreaterThanOrEqual(total / 2_500);
}

describe(`${practiceCount} practices at once`, () => {
  let world: World;
  let unlock: () => Promise<void>;

  beforeAll(async () => {
    world = await World.create();
    await seedCrowd(world);
    unlock = await lockRows(world);
  });
  afterAll(async () => {
    await unlock();
    await world.end();
  });

  const twoProcesses = (environment: Record<string, string>) => {
    const settings = { GATEHOUSE_ROLE: 'api', DEADLINE_MS: String(deadlineMs), LOG_LEVEL: 'error', ...environment };
    return Promise.all([world.start(settings), world.start(settings)]);
  };

  it('get no row of each other in 50,000 requests with errors, timeouts and clients that leave', async () => {
    const gates = await twoProcesses({});
    expectIsolated(await sendCrowd(gates, 50_000), 50_000);
    await Promise.all(gates.map((gate) => gate.end()));
  });

  it('nor behind a PgBouncer in transaction mode, whose few connections all of them share', async () => {
    const bouncer = await PgBouncer.start(world.environment.DATABASE_URL ?? '', 5);
    if (typeof bouncer === 'string') {
      // Debian has it.
      if (existsSync('/etc/debian_version')) throw new Error(bouncer);
      process.stderr.write(`SKIPPED: there is no PgBouncer here: ${bouncer}\n`);
      return;
    }
    const gates = await twoProcesses({
      DATABASE_URL: bouncer.url,
      DATABASE_PREPARED_STATEMENTS: bouncer.tracksStatements ? 'on' : 'off',
    });
    try {
      expectIsolated(await sendCrowd(gates, 50_000), 50_000);
    } finally {
      await Promise.all(gates.map((gate) => gate.end()));
      await bouncer.end();
    }
  });
});
