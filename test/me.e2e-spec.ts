import { call, tokenFor } from './support/api';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { World } from './support/world';

describe('GET /me', () => {
  let world: World;
  let one: GateProcess;
  let two: GateProcess;

  beforeAll(async () => {
    world = await World.create();
    [one, two] = await Promise.all([world.start(), world.start()]);
  });
  afterAll(() => world.end());

  it('tells an app the plan in force: what the issuer claims, else what the operator stored, else standard', async () => {
    const app = { sub: 'user_planned', client_id: 'app_planned' };
    const planOf = async (claims: Record<string, unknown>) =>
      (await call(two, '/me', { token: await tokenFor(one, claims) })).body.usagePlan;
    expect(await planOf(app)).toBe('standard');
    const operator = await tokenFor(one, { sub: 'user_olu', role: 'operator' });
    const change = { method: 'PUT', token: operator, body: { plan: 'enterprise' } };
    expect((await call(one, '/usage-plans/app_planned', change)).status).toBe(200);
    await until(async () => (await planOf(app)) === 'enterprise');
    expect(await planOf({ ...app, usage_plan: 'internal' })).toBe('internal');
    expect(await planOf({ ...app, usage_plan: 'of another house' })).toBe('enterprise');
  });

  it('sends Postgres no statement once the token is known, whoever counts', async () => {
    const calls = 1_000;
    await Promise.all([one.end(), two.end()]); // what they do by the clock would count
    // Without a plan in the token, so that it is looked for each time; shadow mode refuses nothing.
    const gate = await world.start({ GATEHOUSE_ROLE: 'api', THROTTLE_MODE: 'shadow' });
    const token = await tokenFor(gate, { sub: 'user_warm', client_id: 'app_warm' });
    // The sessions that requests have, and what each was asked last.
    const sessions = () =>
      world.sql(
        `SELECT pid, query_start, state_change, query FROM pg_stat_activity
         WHERE datname = current_database() AND usename = 'gatehouse_api' ORDER BY pid`,
      );
    const transactions = async () => {
      const [row] = await world.sql<{ count: number }>(
        `SELECT (xact_commit + xact_rollback)::int AS count FROM pg_stat_database WHERE datname = current_database()`,
      );
      return row?.count ?? 0;
    };
    expect((await call(gate, '/me', { token })).status).toBe(200);
    const [before, countBefore] = [await sessions(), await transactions()];
    const statuses = new Set<number>();
    for (let n = 0; n < calls; n += 20) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => call(gate, '/me', { token })));
      for (const { status } of answers) statuses.add(status);
    }
    expect([...statuses]).toEqual([200]);
    // One that was idle for long is closed.
    expect(before).toEqual(expect.arrayContaining(await sessions()));
    // A session tells what it counted at its end. The rest is what the processes do by the clock.
    await gate.end();
    expect((await transactions()) - countBefore).toBeLessThan(calls / 2);
  });
});
