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
});
