import { type LimitNode, freshName, nodeOfTests, windowRule } from '../../../test/support/limits';
import { AppKeys, LimitKey } from './limit-keys';
import { ruleOf } from './limits';
import { limitOfTier, limitsOfPlan } from './usage-plans';

describe('what the limit store remembers, in the process and in Redis', () => {
  const limits = nodeOfTests();
  const { at } = limits;

  it('remembers a refusal in the process: a flood of refused requests costs no call to Redis', async () => {
    const rule = windowRule(1);
    const key = new LimitKey(freshName(), 'x');
    expect(await limits.node.store.decide(rule, [key], 1)).toMatchObject({ allowed: true });
    expect(await limits.node.store.decide(rule, [key], 1)).toMatchObject({ allowed: false });
    const before = await decisionCalls(limits.node);
    for (let request = 0; request < 5_000; request += 1) {
      expect((await limits.node.store.decide(rule, [key], 1)).allowed).toBe(false);
    }
    expect(await decisionCalls(limits.node)).toBe(before);
    limits.node.clock.advance(59_000);
    expect(await limits.node.store.decide(rule, [key], 1)).toMatchObject({ allowed: false });
    limits.node.clock.advance(1_000);
    await limits.node.store.decide(rule, [key], 1);
    expect(await decisionCalls(limits.node)).toBe(before + 1);
  });

  it('remembers it for whichever route of a method is asked next', async () => {
    const key = new LimitKey(freshName(), 'x');
    const ruleOfRoute = () => ruleOf([limitOfTier(1, 'conversations.history')]);
    while ((await limits.node.store.decide(ruleOfRoute(), [key], 1)).allowed);
    const before = await decisionCalls(limits.node);
    for (let request = 0; request < 100; request += 1) {
      expect((await limits.node.store.decide(ruleOfRoute(), [key], 1)).allowed).toBe(false);
    }
    expect(await decisionCalls(limits.node)).toBe(before);
  });

  it('waits for the longest of the refusals that it remembers', async () => {
    const [short, long] = [windowRule(1, 10_000, 'short'), windowRule(1, 60_000, 'long')];
    const [a, b] = [new LimitKey(freshName(), 'x'), new LimitKey(freshName(), 'x')];
    at(0);
    for (const [rule, key] of [[short, a] as const, [long, b] as const])
      while ((await limits.node.store.decide(rule, [key], 1)).allowed);
    const both = ruleOf([...short.parts, ...long.parts].map(({ limit }) => limit));
    const decision = await limits.node.store.decide(both, [a, b], 1);
    expect(decision).toMatchObject({ allowed: false, retryAfterMs: 60_000 });
    expect(decision.reports.map(({ retryAfterMs }) => retryAfterMs)).toEqual([10_000, 60_000]);
  });

  it('asks Redis for how long, where a plan refuses and the window is known to be used up', async () => {
    const rule = ruleOf([limitOfTier(2, 'post'), limitsOfPlan.standard]);
    const plain = ruleOf([limitsOfPlan.standard]);
    const [window, plan] = [new LimitKey(freshName(), 'x'), new LimitKey(freshName(), 'x')];
    const post = async () => limits.node.store.decide(rule, [window, plan], 1);
    for (const second of [0, 1]) {
      at(second * 1000);
      for (let request = 0; request < 10; request += 1) expect((await post()).allowed).toBe(true);
    }
    expect(await limits.node.store.decide(plain, [plan], 1)).toMatchObject({ allowed: false, retryAfterMs: 50 });
    expect(await post()).toMatchObject({ allowed: false, retryAfterMs: 59_000 });
    const before = await decisionCalls(limits.node);
    for (let again = 0; again < 100; again += 1) expect(await post()).toMatchObject({ retryAfterMs: 59_000 });
    expect(await decisionCalls(limits.node)).toBe(before);
  });

  it.each([
    ['window', windowRule(10), 60_000],
    ['bucket', ruleOf([{ ...limitsOfPlan.standard, requestsPerDay: undefined }]), 300],
  ])('of a %s, has a heavier request wait no shorter than Redis would', async (_, rule, whole) => {
    const key = new LimitKey(freshName(), 'x');
    at(0);
    expect(await limits.node.store.decide(rule, [key], 4)).toMatchObject({ allowed: true });
    at(10);
    expect(await limits.node.store.decide(rule, [key], 6)).toMatchObject({ allowed: true });
    const light = await limits.node.store.decide(rule, [key], 1);
    const heavy = await limits.node.store.decide(rule, [key], 6);
    expect([light.allowed, heavy.allowed]).toEqual([false, false]);
    const asked = await limits.node.fresh(rule, [key.name], 6);
    expect(heavy.retryAfterMs).toBeGreaterThanOrEqual(asked.retryAfterMs);
    expect(heavy.retryAfterMs).toBeLessThanOrEqual(whole);
  });

  it('asks Redis again when the process’ clock went back, instead of refusing for as long', async () => {
    const rule = windowRule(1);
    const key = new LimitKey(freshName(), 'x');
    at(0);
    await limits.node.store.decide(rule, [key], 1);
    await limits.node.store.decide(rule, [key], 1);
    limits.node.clock.advance(-3_600_000);
    at(60_000);
    expect(await limits.node.store.decide(rule, [key], 1)).toMatchObject({ allowed: true });
    limits.node.clock.advance(3_600_000);
  });

  it('does not hold a lighter request to a heavier one’s refusal', async () => {
    const rule = windowRule(10);
    const key = new LimitKey(freshName(), 'x');
    expect(await limits.node.store.decide(rule, [key], 8)).toMatchObject({ allowed: true });
    expect(await limits.node.store.decide(rule, [key], 5)).toMatchObject({ allowed: false });
    expect(await limits.node.store.decide(rule, [key], 2)).toMatchObject({ allowed: true });
  });

  it('remembers what is asked for, in however many workspaces an app is', () => {
    const { keys } = limits.node;
    const inUse = () => ['this', 'that'].map((app) => keys.of(app).window('busy', 'POST /route'));
    const before = inUse();
    for (let n = 0; n < 120_000; n += 1) {
      keys.of('this').window(`workspace ${n}`, 'POST /route');
      if (n % 1_000 === 0) inUse();
    }
    inUse().forEach((key, index) => expect(key).toBe(before[index]));
  });

  it('leaves no key without an expiry and none that holds a name in clear', async () => {
    const rule = ruleOf([limitOfTier(4, 'stream'), limitsOfPlan.enterprise]);
    const app = limits.node.keys.of('client-with-a-name');
    const keys = [app.window('workspace-with-a-name', 'POST /route-with-a-name'), app.plan];
    await limits.node.store.decide(rule, keys, 1);
    const names = await limits.node.redis.commands.keys('*');
    expect(names).toEqual(expect.arrayContaining(keys.map(({ name }) => name)));
    expect(names.filter((name) => name.includes('with-a-name'))).toEqual([]);
    const lives = await Promise.all(names.map((name) => limits.node.redis.commands.pttl(name)));
    expect(lives.filter((ms) => ms === -1)).toEqual([]); // -1: it has no end; -2: it has come to it
  });

  it.each([
    [2, 20],
    [3, 50],
    [4, 100],
  ] as const)(
    'keeps a full window of tier %i, requests spread evenly, in at most 200 bytes',
    async (tier, requests) => {
      const rule = ruleOf([limitOfTier(tier, 'post')]);
      const key = new AppKeys(`memory-${tier}`).window('workspace', 'POST /api/method');
      for (let request = 0; request < requests; request += 1) {
        at(Math.floor((request * 60_000) / requests));
        expect(await limits.node.store.decide(rule, [key], 1)).toMatchObject({ allowed: true });
      }
      expect(await limits.node.redis.commands.memory('USAGE', key.name)).toBeLessThanOrEqual(200);
    },
  );
});

/** Decisions that reached Redis: they alone read several keys at once. */
async function decisionCalls({ redis }: LimitNode): Promise<number> {
  const stats = await redis.commands.info('commandstats');
  return Number(/cmdstat_mget:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}
