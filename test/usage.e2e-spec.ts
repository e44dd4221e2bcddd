import IORedis from 'ioredis';
import { call } from './support/api';
import { HeldClock } from './support/held-clock';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { botToken, seedWorkspace, type Workspace } from './support/workspace';
import { World } from './support/world';

interface Usage {
  readonly clientId: string;
  readonly plan: string;
  readonly limits: readonly {
    readonly name: string;
    readonly quota: number;
    readonly used: number;
    readonly remaining: number;
    readonly resetsAt: string;
  }[];
}

interface Apps {
  readonly since: string;
  readonly data: readonly { readonly clientId: string; readonly requests: number; readonly refused: number }[];
}

describe('the use of the limits', () => {
  let world: World;
  let clock: HeldClock;
  let gates: GateProcess[];
  let x: Workspace;
  let y: Workspace;
  let operator: string;

  beforeAll(async () => {
    world = await World.create();
    clock = new HeldClock(world);
    x = await seedWorkspace(world, 'x');
    y = await seedWorkspace(world, 'y');
    const environment = { GATEHOUSE_ROLE: 'api', REDIS_DEADLINE_MS: '10000', ...clock.environment };
    // Not in the last minutes of a day, which would begin anew.
    const dayMs = 86_400_000;
    if (dayMs - (Date.now() % dayMs) < 300_000) clock.advance(300_000);
    gates = [await world.start(environment), await world.start(environment)];
    operator = await botToken(gate(0), x, { client_id: 'app_of_operator', role: 'operator' });
  });
  afterAll(() => world.end());

  const gate = (index: number): GateProcess => {
    const found = gates[index];
    if (!found) throw new Error('There is no such process');
    return found;
  };
  const post = (token: string, on = 0) =>
    call(gate(on), '/api/chat.postMessage', { token, body: { channel: '#none', text: 'x' } });
  const usage = async (token: string) => (await call<Usage>(gate(1), '/usage', { token })).body;

  it('is told to the app: each limit with its quota, what is used and left, and when it resets', async () => {
    const claims = { client_id: 'app_curious', usage_plan: 'enterprise' };
    const token = await botToken(gate(0), x, claims);
    const begin = Date.parse((await usage(token)).limits[0]?.resetsAt ?? '');
    for (let n = 0; n < 3; n += 1) await post(token);
    clock.advance(20_000);
    await post(token);
    const { clientId, plan, limits } = await usage(token);
    expect([clientId, plan]).toEqual(['app_curious', 'enterprise']);
    expect(limits.slice(0, 2)).toMatchObject([
      { name: 'enterprise', quota: 100, used: 2 }, // the last post and this very request
      { name: 'daily', quota: 1_000_000, used: 6 },
    ]);
    const tiers = Object.fromEntries(limits.slice(2).map(({ name, used, remaining }) => [name, [used, remaining]]));
    expect(tiers['chat.postMessage']).toEqual([4, 16]);
    expect(tiers['conversations.history']).toEqual([0, 50]);
    expect(Object.keys(tiers)).toHaveLength(12);
    const resetsAt = limits.find(({ name }) => name === 'chat.postMessage')?.resetsAt ?? '';
    expect(Math.round((Date.parse(resetsAt) - begin) / 1000)).toBe(60);
  });

  it('looks and takes nothing of a method’s limit, and is apart for each workspace', async () => {
    const inX = await botToken(gate(0), x, { client_id: 'app_both' });
    const inY = await botToken(gate(0), y, { client_id: 'app_both' });
    await post(inX);
    for (let n = 0; n < 3; n += 1) await usage(inX);
    const usedBy = async (token: string) =>
      (await usage(token)).limits.find(({ name }) => name === 'chat.postMessage')?.used;
    expect([await usedBy(inX), await usedBy(inY)]).toEqual([1, 0]);
  });

  it('is told to an operator: the busiest apps, and those that were refused most, over all nodes', async () => {
    const busy = await botToken(gate(0), x, { client_id: 'app_busy' });
    const rude = await botToken(gate(0), x, { client_id: 'app_rude' });
    for (let n = 0; n < 30; n += 1) {
      await call(gate(n % 2), '/me', { token: busy });
      if (n < 25) await post(rude, n % 2);
    }
    const top = async (query: string) => (await call<Apps>(gate(1), `/app-usage?${query}`, { token: operator })).body;
    // The operator asks too, as often as it takes until both nodes have told their counts.
    const others = async () =>
      (await top('by=requests&limit=100')).data.filter(({ clientId }) => clientId !== 'app_of_operator');
    await until(async () => (await others())[0]?.requests === 30 && (await others())[1]?.refused === 5);
    expect((await others()).slice(0, 2)).toMatchObject([
      { clientId: 'app_busy', requests: 30, refused: 0, plan: 'standard' },
      { clientId: 'app_rude', requests: 25, refused: 5 },
    ]);
    expect((await top('by=requests&limit=2')).data).toHaveLength(2);
    expect((await top('by=refused')).data).toMatchObject([{ clientId: 'app_rude', requests: 25, refused: 5 }]);
    clock.advance(3_600_000);
    expect((await top('by=refused')).data).toEqual([]);
    expect((await top('by=refused&hour=last')).data).toMatchObject([{ clientId: 'app_rude' }]);
    expect((await call(gate(0), '/app-usage', { token: busy })).status).toBe(403);
  });

  it('leaves no key without an expiry', async () => {
    const redis = new IORedis(world.redisUrl);
    try {
      const keys = await redis.keys('rl:{apps}*');
      expect(keys.length).toBeGreaterThan(1);
      for (const key of keys) expect(await redis.pttl(key)).toBeGreaterThan(0);
    } finally {
      redis.disconnect();
    }
  });
});
