import { requestsPerMinuteOfTier } from '../src/policy/throttling/usage-plans';
import { call } from './support/api';
import { Flood } from './support/flood';
import { HeldClock } from './support/held-clock';
import type { GateProcess } from './support/process';
import { SlowWay } from './support/slow-way';
import { until } from './support/until';
import { seedWorkspace, type Workspace } from './support/workspace';
import { World } from './support/world';

jest.setTimeout(120_000);

const limit = requestsPerMinuteOfTier[2];
/** The deadline of a call to Redis is 20 ms. */
const slowMs = 60;

/** The time stands still, so that all posts of a flood lie in one window. Every app asks for more than three times its limit. */
describe('posts in a flood, while Redis is slow', () => {
  let world: World;
  let way: SlowWay;
  let gates: GateProcess[];
  let workspace: Workspace;
  let flood: Flood;

  beforeAll(async () => {
    world = await World.create();
    way = await SlowWay.start(world.redisUrl);
    workspace = await seedWorkspace(world, 'x');
    const environment = { GATEHOUSE_ROLE: 'api', REDIS_URL: way.url, ...new HeldClock(world).environment };
    gates = [await world.start(environment), await world.start(environment)];
  });
  afterAll(async () => {
    await world.end();
    way.end();
  });

  beforeEach(async () => {
    await decidedBy('Redis');
    flood = await Flood.start(gates, workspace);
    flood.goOnTo(3);
    await flood.each(3);
  });
  afterEach(() => flood.end());

  const metric = async (gate: GateProcess, name: string) => {
    const { text } = await call(gate, '/metrics');
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  };
  const metrics = (name: string) => Promise.all(gates.map((gate) => metric(gate, name)));
  const decidedBy = (who: 'Redis' | 'each process') =>
    until(async () => {
      const degraded = await metrics('throttle_degraded');
      return degraded.every((value) => value === Number(who === 'each process'));
    }, 45_000);
  const alarms = () => gates.map(({ log }) => log.split('"alarm":"throttle_degraded"').length - 1);
  /** Goes on until every app was refused behind the fault; tells how many posts of the luckiest and of the unluckiest app were accepted. */
  const accepted = async () => {
    flood.goOnTo(3 * limit + 10);
    await flood.each(3 * limit + 10);
    await flood.end();
    expect(flood.wrong).toEqual([]);
    expect(flood.posts.filter(({ outcome }) => outcome === 'unavailable')).toEqual([]);
    expect(await flood.contradictions(world)).toEqual([]);
    const counts = flood.names.map((app) => flood.of(app, 'posted').length);
    return { most: Math.max(...counts), least: Math.min(...counts) };
  };

  it('are served without it, with an alarm at each process, within one allowance', async () => {
    const localBefore = await metrics('throttle_local_decisions_total');
    way.lateMs = slowMs;
    try {
      flood.goOnTo(6);
      await flood.each(6);
      await decidedBy('each process');
      await until(() => alarms().every((count) => count > 0));
      const alarmsOfIt = alarms();
      flood.goOnTo(40);
      await flood.each(40);
      // Beyond its share an app is refused, by the process itself.
      await flood.each(1, 'limited');
      const local = await metrics('throttle_local_decisions_total');
      // 4 apps at each process, 34 posts of each.
      local.forEach((count, gate) => expect(count).toBeGreaterThanOrEqual((localBefore[gate] ?? 0) + 4 * 34));
      // It is slow for as long as it is: no probe takes it back, and one episode has one alarm.
      expect(await metrics('throttle_degraded')).toEqual([1, 1]);
      expect(alarms()).toEqual(alarmsOfIt);
      // Late is not away.
      expect(await metrics('redis_up')).toEqual([1, 1]);
      for (const gate of gates) await until(async () => (await call(gate, '/health/ready')).body.redis === 'up');
    } finally {
      way.lateMs = 0;
    }
    await decidedBy('Redis');
    const { most, least } = await accepted();
    expect(most).toBeLessThanOrEqual(limit);
    // Nobody loses more than what was sent when it became slow, which may count both there and here.
    expect(least).toBeGreaterThanOrEqual(limit / 2);
  });

  it('are within one allowance when it is slow again and again', async () => {
    for (let round = 1; round <= 5; round += 1) {
      way.lateMs = slowMs / 2 + round * 10;
      flood.goOnTo(3 + round * 4 - 2);
      await flood.each(3 + round * 4 - 2);
      await decidedBy('each process');
      way.lateMs = 0;
      await decidedBy('Redis');
      flood.goOnTo(3 + round * 4);
      await flood.each(3 + round * 4);
    }
    const { most, least } = await accepted();
    expect(most).toBeLessThanOrEqual(limit);
    expect(least).toBeGreaterThanOrEqual(limit / 4);
  });
});
