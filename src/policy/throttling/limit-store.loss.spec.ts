import { freshName, LimitNode, nodeOfFaults, windowRule } from '../../../test/support/limits';
import { until } from '../../../test/support/until';
import type { World } from '../../../test/support/world';
import { LimitKey } from './limit-keys';
import { type Rule, ruleOf } from './limits';
import { limitsOfPlan } from './usage-plans';

describe('the limit store, when Redis has lost what it counted', () => {
  const started = nodeOfFaults();
  let world: World;
  let node: LimitNode;

  beforeEach(() => {
    ({ world, node } = started());
  });

  const keysOf = (count: number) => Array.from({ length: count }, () => new LimitKey(freshName(), 'x'));
  const granted = async (rule: Rule, keys: readonly LimitKey[], requests: number) => {
    const decisions = await Promise.all(Array.from({ length: requests }, async () => node.store.decide(rule, keys, 1)));
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
    node.watch.onApplicationShutdown(); // it is the decision that finds out, and no heartbeat
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
    await node.decideUntil(() => !node.watch.isTrusted);
    const local = await granted(tierAndPlan, keys, 3);
    expect(local).toBe(3);
    await node.trusted();
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
        await node.decideUntil(() => !node.watch.isTrusted);
      },
    ],
  ])('since it was %s, is reminded by all processes and counts once what each was granted', async (_, lose) => {
    const other = await LimitNode.start(world.redisUrl);
    await other.trusted();
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

  it('or has not, though another process comes with what has left the window, counts nothing twice', async () => {
    const other = await LimitNode.start(world.redisUrl);
    await other.trusted();
    try {
      const rule = windowRule(20);
      const [here] = keysOf(1) as [LimitKey];
      const there = new LimitKey(here.name, 'x');
      const start = Date.now() * 1000;
      const at = (seconds: number) => {
        for (const { store } of [node, other]) store.micros = start + seconds * 1_000_000;
      };
      at(0);
      expect(await granted(rule, [here], 5)).toBe(5);
      at(59);
      for (let n = 0; n < 6; n += 1) await other.store.decide(rule, [there], 1);
      at(61);
      for (const { watch } of [node, other]) watch.memory += 1; // as of a process that kept its memory on the disk
      node.watch.distrust(new Error('as if Redis were away'));
      expect(await granted(rule, [here], 1)).toBe(1);
      await node.trusted();
      const { reports } = await other.store.decide(rule, [there], 0);
      expect(reports[0]?.remaining).toBe(20 - 6 - 1);
    } finally {
      other.stop();
    }
  });

  it('after it was told what was granted without it, is told that again', async () => {
    const rule = windowRule(20);
    const keys = keysOf(1);
    node.watch.distrust(new Error('as if Redis were away'));
    expect(await granted(rule, keys, 12)).toBe(12);
    await node.trusted();
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
