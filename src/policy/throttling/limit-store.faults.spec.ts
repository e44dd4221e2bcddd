import { freshName, LimitNode, windowRule } from '../../../test/support/limits';
import { until } from '../../../test/support/until';
import { World } from '../../../test/support/world';
import { LimitKey } from './limit-keys';
import { type Rule, ruleOf } from './limits';
import { limitsOfPlan } from './usage-plans';

const deadline = { REDIS_DEADLINE_MS: '20' };

describe('the limit store in a flood, when Redis', () => {
  let world: World;
  let node: LimitNode;

  beforeAll(async () => {
    world = await World.create();
  });
  afterAll(() => world.end());
  beforeEach(async () => {
    node = await LimitNode.start(world.redisUrl, deadline);
    await trusted();
  });
  afterEach(async () => {
    await node.redis.commands.del('rl:{nodes}'); // so that the next test's node is alone from its start
    node.stop();
  });

  const trusted = () => until(() => node.watch.isTrusted, 30_000);
  const decideUntil = (done: () => boolean) =>
    until(async () => {
      await node.fresh(windowRule(10), [freshName()]);
      return done();
    });
  const alarms = () => node.lines.filter((line) => line.includes('"alarm":"throttle_degraded"'));

  it('has lost its scripts, decides in the same request all the same', async () => {
    const rule = windowRule(1);
    const name = [freshName()];
    await node.redis.commands.script('FLUSH');
    expect(await node.fresh(rule, name)).toMatchObject({ allowed: true, decidedAtMs: expect.any(Number) as number });
    await node.redis.commands.script('FLUSH');
    expect(await node.fresh(rule, name)).toMatchObject({ allowed: false, decidedAtMs: expect.any(Number) as number });
  });

  describe('has lost what it counted', () => {
    const keysOf = (count: number) => Array.from({ length: count }, () => new LimitKey(freshName(), 'x'));
    const granted = async (rule: Rule, keys: readonly LimitKey[], requests: number) => {
      const decisions = await Promise.all(
        Array.from({ length: requests }, async () => node.store.decide(rule, keys, 1)),
      );
      return decisions.filter(({ allowed }) => allowed).length;
    };
    const tierAndPlan = ruleOf([
      { kind: 'window', name: 'w', requests: 20, windowMs: 60_000 },
      { ...limitsOfPlan.enterprise, requestsPerDay: 50 },
    ]);

    it.each([
      ['emptied', () => node.redis.commands.flushall()],
      ['out of room for one key', (key: LimitKey) => node.redis.commands.del(key.name)],
    ])('since it was %s, grants the rest of a window and not one more', async (_, lose) => {
      const rule = windowRule(20);
      const [key] = keysOf(1) as [LimitKey];
      expect(await granted(rule, [key], 12)).toBe(12);
      await lose(key);
      expect(await granted(rule, [key], 100)).toBe(8);
      expect(await node.metric('throttle_forgotten_total')).toBeGreaterThan(0);
      expect(await node.metric('throttle_local_decisions_total')).toBe(0);
    });

    it('again and again, in mid-flood, grants a window and a quota once', async () => {
      const keys = keysOf(2);
      let all = 0;
      for (let loss = 0; loss < 10; loss += 1) {
        const flood = [granted(tierAndPlan, keys, 3), node.redis.commands.flushall(), granted(tierAndPlan, keys, 3)];
        for (const part of await Promise.all(flood)) if (typeof part === 'number') all += part;
      }
      expect(all).toBe(20);
      const { reports } = await node.store.decide(tierAndPlan, keys, 0);
      expect(reports.at(-1)?.remaining).toBe(30);
    });

    it('goes on with the quota of the day in another window', async () => {
      const [one, other, plan] = keysOf(3) as [LimitKey, LimitKey, LimitKey];
      expect(await granted(tierAndPlan, [one, plan], 20)).toBe(20);
      await node.redis.commands.flushall();
      expect(await granted(tierAndPlan, [other, plan], 20)).toBe(20);
      const { reports } = await node.store.decide(tierAndPlan, [other, plan], 0);
      expect(reports.at(-1)?.remaining).toBe(10);
    });

    it('with its process, grants the rest of a window and not one more, before and behind the restart', async () => {
      const keys = keysOf(2);
      expect(await granted(tierAndPlan, keys, 12)).toBe(12);
      node.clock.advance(1_000);
      process.kill(world.redisPid, 'SIGKILL');
      await decideUntil(() => !node.watch.isTrusted);
      const local = await granted(tierAndPlan, keys, 3);
      expect(local).toBe(3);
      await trusted();
      expect(await granted(tierAndPlan, keys, 50)).toBe(5);
      const { reports } = await node.store.decide(tierAndPlan, keys, 0);
      expect(reports.at(-1)?.remaining).toBe(30);
    });

    it.each([
      ['emptied, and each has seen that', () => node.redis.commands.flushall()],
      [
        'killed',
        async () => {
          process.kill(world.redisPid, 'SIGKILL');
          await decideUntil(() => !node.watch.isTrusted);
        },
      ],
    ])('since it was %s, is reminded by all processes and counts once what each was granted', async (_, lose) => {
      const other = await LimitNode.start(world.redisUrl, deadline);
      try {
        const rule = windowRule(20);
        const [here] = keysOf(1) as [LimitKey];
        const there = new LimitKey(here.name, 'x');
        const now = Date.now() * 1000;
        for (let request = 0; request < 12; request += 1) {
          for (const { store } of [node, other]) store.micros = now; // all in one millisecond
          await (request % 2 === 0 ? node.store.decide(rule, [here], 1) : other.store.decide(rule, [there], 1));
        }
        for (const { clock, store } of [node, other]) {
          clock.advance(1_000);
          store.micros += 1_000_000;
        }
        const memories = [node, other].map(({ watch }) => watch.memory);
        await lose();
        await until(() => [node, other].every(({ watch }, n) => watch.isTrusted && watch.memory > (memories[n] ?? 0)));
        for (let request = 0; request < 4; request += 1) expect(await granted(rule, [here], 1)).toBe(1);
        const after = [];
        for (let request = 0; request < 10; request += 1) after.push(await other.store.decide(rule, [there], 1));
        expect(after.filter(({ allowed }) => allowed)).toHaveLength(4);
      } finally {
        other.stop();
      }
    });

    it.each([
      ['emptied', () => node.redis.commands.flushall()],
      ['not: another connection is no loss', () => Promise.resolve((node.watch.memory += 1))],
    ])('when it was %s, never counts what has left the window, nor what was given back', async (_, lose) => {
      const rule = windowRule(10);
      const [key] = keysOf(1) as [LimitKey];
      const now = Date.now() * 1000;
      const at = (seconds: number) => (node.store.micros = now + seconds * 1_000_000);
      at(0);
      expect(await granted(rule, [key], 6)).toBe(6);
      at(59);
      const decision = await node.store.decide(rule, [key], 1);
      expect(await granted(rule, [key], 2)).toBe(2);
      node.store.refund(rule, [key], 1, decision);
      await until(async () => (await node.store.decide(rule, [key], 0)).reports[0]?.remaining === 2);
      await lose();
      at(60);
      const { reports } = await node.store.decide(rule, [key], 0);
      expect(reports[0]?.remaining).toBe(8);
      expect(await granted(rule, [key], 20)).toBe(8);
    });

    it('after it was told what was granted without it, is told that again', async () => {
      const rule = windowRule(20);
      const keys = keysOf(1);
      node.watch.distrust(new Error('as if Redis were away'));
      expect(await granted(rule, keys, 12)).toBe(12);
      await trusted();
      await node.redis.commands.flushall();
      expect(await granted(rule, keys, 50)).toBe(8);
    });

    it('but had granted nothing to this process, counts from nothing', async () => {
      const rule = windowRule(5);
      const name = [freshName()];
      for (let request = 0; request < 5; request += 1) await node.fresh(rule, name);
      await node.redis.commands.flushall();
      const decisions = await Promise.all(Array.from({ length: 20 }, () => node.fresh(rule, name)));
      expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(5);
    });

    it('of a request that was given back, is not told of it', async () => {
      const rule = windowRule(5);
      const [key] = keysOf(1) as [LimitKey];
      const decision = await node.store.decide(rule, [key], 1);
      node.store.refund(rule, [key], 1, decision);
      await until(async () => (await node.store.decide(rule, [key], 0)).reports[0]?.remaining === 5);
      expect(await granted(rule, [key], 5)).toBe(5);
      expect(await node.metric('throttle_forgotten_total')).toBe(0);
    });
  });

  it('is killed, serves from local buckets with one alarm, and goes back to it', async () => {
    process.kill(world.redisPid, 'SIGKILL');
    await decideUntil(() => !node.watch.isTrusted);
    const rule = windowRule(5);
    const key = new LimitKey(freshName(), 'x');
    const decisions = await Promise.all(Array.from({ length: 50 }, async () => node.store.decide(rule, [key], 1)));
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(5);
    expect(await node.metric('throttle_degraded')).toBe(1);
    expect(await node.metric('throttle_local_decisions_total')).toBeGreaterThanOrEqual(50);
    expect(alarms()).toHaveLength(1);

    await trusted();
    expect(await node.metric('throttle_degraded')).toBe(0);
    expect(await node.fresh(windowRule(1), [freshName()])).toMatchObject({ decidedAtMs: expect.any(Number) as number });
    expect(node.lines.filter((line) => line.includes('Redis is back'))).toHaveLength(1);
    // The same window, on Redis again: what was granted without it still counts.
    const after = await Promise.all(Array.from({ length: 50 }, () => node.fresh(rule, [key.name])));
    expect(after.filter(({ allowed }) => allowed)).toHaveLength(0);
  });

  it('stands still, waits for the deadline once and then for nothing', async () => {
    const rule = ruleOf([limitsOfPlan.enterprise]);
    const pid = world.redisPid;
    process.kill(pid, 'SIGSTOP');
    try {
      const first = await Promise.all(Array.from({ length: 60 }, () => node.fresh(rule, [freshName()])));
      expect(first.filter(({ allowed }) => allowed)).toHaveLength(60);
      expect(node.watch.isTrusted).toBe(false);
      for (let request = 0; request < 1_000; request += 1) {
        // An answer, not the promise of one: nothing was waited for.
        expect(node.store.decide(rule, [new LimitKey(freshName(), 'x')], 1)).toMatchObject({ allowed: true });
      }
      expect(alarms()).toHaveLength(1);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await trusted();
  });

  it('was late, takes over what was granted meanwhile: no plan, window or quota is granted twice', async () => {
    const rule = ruleOf([
      { kind: 'window', name: 'w', requests: 20, windowMs: 60_000 },
      { ...limitsOfPlan.standard, requestsPerSecond: 1 },
    ]);
    const keys = [new LimitKey(freshName(), 'x'), new LimitKey(freshName(), 'x')];
    const names = keys.map(({ name }) => name);
    node.watch.distrust(new Error('as if Redis were late'));
    const decisions = await Promise.all(Array.from({ length: 50 }, async () => node.store.decide(rule, keys, 1)));
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(10);
    await trusted();
    const { reports } = await node.fresh(rule, names, 0);
    expect(reports[0]?.remaining).toBe(10);
    expect(reports[1]?.remaining).toBe(0);
    expect(reports[2]?.remaining).toBe(9_990);
  });

  it('was away over midnight, is told of today and not of yesterday', async () => {
    const day = 86_400_000;
    const rule = ruleOf([{ ...limitsOfPlan.enterprise, requestsPerDay: 50 }]);
    const key = new LimitKey(freshName(), 'x');
    node.clock.advance(day - (node.clock.now() % day) - 2_000);
    node.watch.distrust(new Error('as if Redis were away'));
    for (let request = 0; request < 50; request += 1)
      expect(await node.store.decide(rule, [key], 1)).toMatchObject({ allowed: true });
    expect(await node.store.decide(rule, [key], 1)).toMatchObject({ allowed: false });
    node.clock.advance(4_000);
    await trusted();
    const { reports } = await node.store.decide(rule, [key], 0);
    expect(reports.at(-1)?.remaining).toBe(50);
  });

  it('is away, grants each of several nodes its share', async () => {
    const others = await Promise.all([LimitNode.start(world.redisUrl), LimitNode.start(world.redisUrl)]);
    try {
      const fourth = await LimitNode.start(world.redisUrl);
      others.push(fourth);
      fourth.watch.distrust(new Error('as if Redis were away'));
      const share = Math.floor(20 / fourth.watch.nodes);
      expect(fourth.watch.nodes).toBeGreaterThanOrEqual(4);
      const key = new LimitKey(freshName(), 'x');
      const decisions = await Promise.all(
        Array.from({ length: 50 }, async () => fourth.store.decide(windowRule(20), [key], 1)),
      );
      expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(share);
      const once = await fourth.store.decide(windowRule(1), [new LimitKey(freshName(), 'x')], 1);
      expect(once.allowed).toBe(true);
    } finally {
      for (const other of others) other.stop();
    }
  });

  it('comes and goes, never grants beyond the limit in all its comings and goings', async () => {
    const rule = windowRule(20);
    const key = new LimitKey(freshName(), 'x');
    let admitted = 0;
    for (let round = 0; round < 4; round += 1) {
      const pid = world.redisPid;
      process.kill(pid, 'SIGSTOP');
      const during = await Promise.all(Array.from({ length: 4 }, async () => node.store.decide(rule, [key], 1)));
      process.kill(pid, 'SIGCONT');
      await trusted();
      const after = await Promise.all(Array.from({ length: 4 }, async () => node.store.decide(rule, [key], 1)));
      admitted += [...during, ...after].filter(({ allowed }) => allowed).length;
    }
    // What was sent to a Redis that stood still may count both there and here, so it can be less than 20.
    expect(admitted).toBeLessThanOrEqual(20);
    expect(admitted).toBeGreaterThanOrEqual(8);
  });

  it('is lost after most of a window was used, grants the rest and no more', async () => {
    const rule = windowRule(20);
    const key = new LimitKey(freshName(), 'x');
    for (let request = 0; request < 15; request += 1) await node.store.decide(rule, [key], 1);
    node.watch.distrust(new Error('as if Redis were away'));
    const decisions = await Promise.all(Array.from({ length: 50 }, async () => node.store.decide(rule, [key], 1)));
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(5);
  });
});
