import { freshName, LimitNode, nodeOfFaults, shortDeadline, windowRule } from '../../../test/support/limits';
import type { World } from '../../../test/support/world';
import { LimitKey } from './limit-keys';
import { ruleOf } from './limits';
import { limitsOfPlan } from './usage-plans';

const alarmsOf = ({ lines }: LimitNode) => lines.filter((line) => line.includes('"alarm":"throttle_degraded"'));

describe('the limit store in a flood, when Redis', () => {
  const started = nodeOfFaults();
  let world: World;
  let node: LimitNode;

  beforeEach(() => {
    ({ world, node } = started());
  });

  it('has lost its scripts, decides in the same request all the same', async () => {
    const rule = windowRule(1);
    const name = [freshName()];
    await node.redis.commands.script('FLUSH');
    expect(await node.fresh(rule, name)).toMatchObject({ allowed: true, decidedAtMs: expect.any(Number) as number });
    await node.redis.commands.script('FLUSH');
    expect(await node.fresh(rule, name)).toMatchObject({ allowed: false, decidedAtMs: expect.any(Number) as number });
  });

  it('is killed, serves from local buckets with one alarm, and goes back to it', async () => {
    process.kill(world.redisPid, 'SIGKILL');
    await node.decideUntil(() => !node.watch.isTrusted);
    const rule = windowRule(5);
    const key = new LimitKey(freshName(), 'x');
    const decisions = await Promise.all(Array.from({ length: 50 }, async () => node.store.decide(rule, [key], 1)));
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(5);
    expect(await node.metric('throttle_degraded')).toBe(1);
    expect(await node.metric('throttle_local_decisions_total')).toBeGreaterThanOrEqual(50);
    expect(alarmsOf(node)).toHaveLength(1);

    await node.trusted();
    expect(await node.metric('throttle_degraded')).toBe(0);
    expect(await node.fresh(windowRule(1), [freshName()])).toMatchObject({ decidedAtMs: expect.any(Number) as number });
    expect(node.lines.filter((line) => line.includes('Redis is back'))).toHaveLength(1);
    // The same window, on Redis again: what was granted without it still counts.
    const after = await Promise.all(Array.from({ length: 50 }, () => node.fresh(rule, [key.name])));
    expect(after.filter(({ allowed }) => allowed)).toHaveLength(0);
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
    await node.trusted();
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
    await node.trusted();
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

  it('is lost after most of a window was used, grants the rest and no more', async () => {
    const rule = windowRule(20);
    const key = new LimitKey(freshName(), 'x');
    for (let request = 0; request < 15; request += 1) await node.store.decide(rule, [key], 1);
    node.watch.distrust(new Error('as if Redis were away'));
    const decisions = await Promise.all(Array.from({ length: 50 }, async () => node.store.decide(rule, [key], 1)));
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(5);
  });
});

describe('the limit store in a flood, when for its deadline Redis', () => {
  const started = nodeOfFaults(shortDeadline);
  let world: World;
  let node: LimitNode;

  beforeEach(() => {
    ({ world, node } = started());
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
      expect(alarmsOf(node)).toHaveLength(1);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await node.trusted();
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
      await node.trusted();
      const after = await Promise.all(Array.from({ length: 4 }, async () => node.store.decide(rule, [key], 1)));
      admitted += [...during, ...after].filter(({ allowed }) => allowed).length;
    }
    // What was sent to a Redis that stood still may count both there and here, so it can be less than 20.
    expect(admitted).toBeLessThanOrEqual(20);
    expect(admitted).toBeGreaterThanOrEqual(8);
  });
});
