import IORedis from 'ioredis';
import { requestsPerMinuteOfTier } from '../src/policy/throttling/usage-plans';
import { call } from './support/api';
import { Flood } from './support/flood';
import { HeldClock } from './support/held-clock';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { seedWorkspace, type Workspace } from './support/workspace';
import { World } from './support/world';

jest.setTimeout(120_000);

const limit = requestsPerMinuteOfTier[2];
const hourMs = 3_600_000;

/** The time stands still, so that all posts of a flood lie in one window. Every app asks for more than three times its limit. */
describe('posts in a flood', () => {
  let world: World;
  let clock: HeldClock;
  let gates: GateProcess[];
  let workspace: Workspace;
  let flood: Flood;

  beforeAll(async () => {
    world = await World.create({ ownPostgres: true });
    clock = new HeldClock(world);
    workspace = await seedWorkspace(world, 'x');
    const environment = { GATEHOUSE_ROLE: 'api', ...clock.environment };
    gates = [await world.start(environment), await world.start(environment)];
  });
  afterAll(() => world.end());

  beforeEach(async () => {
    await decidedByRedis();
    flood = await Flood.start(gates, workspace);
    flood.goOnTo(12);
    await flood.each(3);
  });
  afterEach(() => flood.end());

  const metric = async (gate: GateProcess, name: string) => {
    const { text } = await call(gate, '/metrics');
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  };
  const decidedByRedis = () =>
    until(async () => {
      const degraded = await Promise.all(gates.map((gate) => metric(gate, 'throttle_degraded')));
      return degraded.every((value) => value === 0);
    }, 45_000);
  const decidedLocally = async () => {
    const counts = await Promise.all(gates.map((gate) => metric(gate, 'throttle_local_decisions_total')));
    return counts.reduce((sum, count) => sum + count, 0);
  };
  /** Goes on until every app was refused behind the fault; tells the most that one had accepted. */
  const accepted = async () => {
    flood.goOnTo(3 * limit + 10);
    await flood.each(3 * limit + 10);
    await flood.end();
    expect(flood.wrong).toEqual([]);
    expect(await flood.contradictions(world)).toEqual([]);
    return Math.max(...flood.names.map((app) => flood.of(app, 'posted').length));
  };
  const unexcused = () => flood.posts.filter(({ outcome }) => outcome === 'unavailable');

  it.each([
    ['killed', 'SIGKILL'],
    ['restarted', 'SIGTERM'],
  ] as const)(
    'are kept while Redis is %s, within one allowance: what it forgot it is told again',
    async (_, signal) => {
      const before = await decidedLocally();
      const pid = world.redisPid;
      process.kill(pid, signal);
      flood.goOnTo(16);
      await flood.each(16);
      await until(() => world.redisReplaces(pid));
      expect(await decidedLocally()).toBeGreaterThan(before);
      await decidedByRedis();
      const most = await accepted();
      expect(unexcused()).toEqual([]);
      expect(most).toBeLessThanOrEqual(limit);
      expect(most).toBeGreaterThanOrEqual(limit / 2);
    },
  );

  it('are kept while Redis is emptied, within one allowance: what it forgot it is told again', async () => {
    const redis = new IORedis(world.redisUrl);
    try {
      await redis.flushall();
    } finally {
      redis.disconnect();
    }
    const most = await accepted();
    expect(unexcused()).toEqual([]);
    expect(most).toBeLessThanOrEqual(limit);
    expect(most).toBeGreaterThanOrEqual(limit / 2);
  });

  it('are kept while Redis stands still, within one allowance: what was granted without it counts behind it', async () => {
    const before = await decidedLocally();
    const pid = world.redisPid;
    process.kill(pid, 'SIGSTOP');
    try {
      await flood.each(12);
      flood.goOnTo(30);
      await flood.each(30);
      expect(await decidedLocally()).toBeGreaterThan(before + 30);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await decidedByRedis();
    const most = await accepted();
    expect(unexcused()).toEqual([]);
    expect(most).toBeLessThanOrEqual(limit);
    expect(most).toBeGreaterThanOrEqual(limit / 2);
  });

  it('are kept while all clocks go back an hour, within one allowance', async () => {
    clock.advance(-hourMs);
    // The limit of an address knows only that its bucket was not full: it is filled anew, while time goes on.
    await Promise.all(gates.map((gate) => call(gate, '/health/live')));
    clock.advance(1_000);
    // As if Postgres had given its newest times by a clock that was an hour ahead.
    await world.sql(
      `BEGIN; LOCK TABLE channels IN EXCLUSIVE MODE;
       UPDATE channels SET last_ts = last_ts + ${hourMs * 1_000}; UPDATE messages SET ts = ts + ${hourMs * 1_000}; COMMIT`,
    );
    const most = await accepted();
    expect(unexcused()).toEqual([]);
    expect(most).toBeLessThanOrEqual(limit);
    expect(most).toBeGreaterThanOrEqual(limit / 2);
  });

  it.each([
    ['is killed', 'SIGKILL'],
    ['restarts', 'SIGINT'],
  ] as const)(
    'are kept while Postgres %s, or refused with 503 and a correlation id, which costs nothing',
    async (_, signal) => {
      process.kill(world.postgresPid, signal);
      flood.goOnTo(Infinity);
      await until(() => unexcused().length > 0 || flood.wrong.length > 0, 45_000);
      const refused = unexcused().length;
      await flood.each(limit / 2, 'posted');
      await flood.each(1, 'limited');
      flood.goOnTo(0);
      const most = await accepted();
      expect(unexcused().length).toBeGreaterThanOrEqual(refused);
      expect(most).toBeLessThanOrEqual(limit);
    },
  );

  describe('of apps that are at both processes', () => {
    beforeEach(async () => {
      await flood.end();
      flood = await Flood.startOverAll(gates, workspace);
      flood.goOnTo(12);
      await flood.each(6);
    });

    const granted = () => new Map(flood.names.map((app) => [app, flood.of(app, 'posted').length]));

    /** Goes on until all are refused, beyond the limit only by what was accepted before; tells the most that one had. */
    const grantsNoMore = async () => {
      const [before, withoutIt] = [await decidedLocally(), granted()];
      const most = await accepted();
      expect(unexcused()).toEqual([]);
      // A machine that is too busy to ask Redis in time is without it once more, and grants a post by each such decision at most.
      const alone = (await decidedLocally()) - before;
      for (const [app, posts] of granted())
        expect(posts).toBeLessThanOrEqual(Math.max(limit, withoutIt.get(app) ?? 0) + alone);
      return most;
    };

    it('are kept while Redis stands still; once it is back it grants nothing beyond the limit', async () => {
      const before = await decidedLocally();
      const pid = world.redisPid;
      process.kill(pid, 'SIGSTOP');
      try {
        await flood.each(12);
        flood.goOnTo(60);
        await flood.each(60);
        expect(await decidedLocally()).toBeGreaterThan(before + 60);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await decidedByRedis();
      const most = await grantsNoMore();
      // A process does not hear of what the others were granted last: until it is back, their shares come on top.
      expect(most).toBeLessThan(2 * limit);
      expect(most).toBeGreaterThanOrEqual(limit / 2);
    });

    it('are kept while Redis is killed; once it is back it grants no second allowance', async () => {
      const pid = world.redisPid;
      process.kill(pid, 'SIGKILL');
      await flood.each(12);
      await until(() => world.redisReplaces(pid));
      await decidedByRedis();
      expect(await grantsNoMore()).toBeLessThan(2 * limit);
    });
  });
});
