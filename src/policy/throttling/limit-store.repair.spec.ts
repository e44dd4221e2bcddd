import { freshName, nodeOfTests, windowRule } from '../../../test/support/limits';
import { until } from '../../../test/support/until';
import { LimitKey } from './limit-keys';
import { ruleOf } from './limits';
import { limitOfTier, limitsOfPlan } from './usage-plans';

const dayMs = 86_400_000;

describe('the limit store, where what was counted has to be put right', () => {
  const limits = nodeOfTests();
  const { at, passes } = limits;

  describe('when Redis’ clock goes back', () => {
    it.each([1, 1_000, 3_600_000, 3 * dayMs])('by %i ms, neither locks out nor doubles a window', async (backMs) => {
      const rule = windowRule(20);
      const name = [freshName()];
      at(0);
      for (let request = 0; request < 15; request += 1) expect(await passes(rule, name)).toBe(true);
      at(-backMs);
      for (let request = 0; request < 5; request += 1) expect(await passes(rule, name)).toBe(true);
      expect(await limits.node.fresh(rule, name)).toMatchObject({ allowed: false, retryAfterMs: 60_000 });
      at(-backMs + 60_000);
      expect(await passes(rule, name)).toBe(true);
    });

    it('frees a full window one window later, however often it refuses meanwhile', async () => {
      const rule = windowRule(20);
      const name = [freshName()];
      at(0);
      expect(await passes(rule, name, 20)).toBe(true);
      for (let second = 0; second < 60; second += 1) {
        at(-3_600_000 + second * 1000);
        expect(await passes(rule, name)).toBe(false);
      }
      at(-3_600_000 + 60_000);
      expect(await passes(rule, name, 20)).toBe(true);
    });

    it.each([0, 1_000, 3_600_000, 3 * dayMs])(
      'by %i ms, frees a window after one window for who remembers its grants, too, though its key has expired',
      async (backMs) => {
        const rule = windowRule(20);
        const key = new LimitKey(freshName(), 'x');
        const ask = async () => (await limits.node.store.decide(rule, [key], 1)).allowed;
        at(0);
        expect((await limits.node.store.decide(rule, [key], 20)).allowed).toBe(true);
        at(-backMs);
        expect(await passes(rule, [key.name])).toBe(false); // as another process asks, and Redis pulls it back
        at(-backMs + 1);
        limits.node.clock.advance(60_001); // what is remembered of a refusal is over
        expect(await ask()).toBe(false);
        await limits.node.redis.commands.del(key.name);
        at(-backMs + 30_000);
        limits.node.clock.advance(60_001);
        expect(await ask()).toBe(false); // what was lost is told
        await limits.node.redis.commands.del(key.name);
        at(-backMs + 60_001);
        limits.node.clock.advance(60_001);
        expect(await ask()).toBe(true);
      },
    );

    it('over midnight, keeps a used quota and ends it with the day that it then is', async () => {
      const quota = { burstRequests: undefined, requestsPerSecond: undefined, requestsPerDay: 5 };
      const rule = ruleOf([{ kind: 'plan', name: 'quota', ...quota }]);
      const name = [freshName()];
      at(dayMs / 2);
      expect(await passes(rule, name, 5)).toBe(true);
      at(dayMs / 2 - 3_600_000);
      expect(await limits.node.fresh(rule, name)).toMatchObject({ allowed: false, retryAfterMs: 3_600_000 });
      at(dayMs / 2);
      expect(await passes(rule, name)).toBe(true);
    });

    it.each([1_000, 3_600_000, 3 * dayMs])('by %i ms, neither locks out nor refills a plan', async (backMs) => {
      const rule = ruleOf([limitsOfPlan.standard]);
      const name = [freshName()];
      at(0);
      for (let request = 0; request < 10; request += 1) expect(await passes(rule, name)).toBe(true);
      at(-backMs);
      expect(await limits.node.fresh(rule, name)).toMatchObject({ allowed: false, retryAfterMs: 50 });
      at(-backMs + 50);
      const { allowed, reports } = await limits.node.fresh(rule, name);
      expect([allowed, reports[1]?.remaining]).toEqual([true, 9_989]);
    });
  });

  describe('when a request is refunded', () => {
    const rule = ruleOf([limitOfTier(2, 'post'), limitsOfPlan.standard]);
    const remaining = async (keys: readonly LimitKey[]) =>
      (await limits.node.store.decide(rule, keys, 0)).reports.map((report) => report.remaining);

    it('gives back that one and no other', async () => {
      const keys = [new LimitKey(freshName(), 'x'), new LimitKey(freshName(), 'x')];
      at(0);
      await limits.node.store.decide(rule, keys, 1);
      at(10);
      const failed = await limits.node.store.decide(rule, keys, 3);
      at(20);
      await limits.node.store.decide(rule, keys, 2);
      limits.node.store.refund(rule, keys, 3, failed);
      await until(async () => (await remaining(keys))[0] === 17);
      expect(await remaining(keys)).toEqual([17, 7, 9_997]);
      at(60_009);
      expect((await remaining(keys))[0]).toBe(18); // the first has left the window, the last has not
      at(60_019);
      expect((await remaining(keys))[0]).toBe(18);
      at(60_020);
      expect((await remaining(keys))[0]).toBe(20);
    });

    it('gives back the oldest where that one cannot be found, so that no window grows too wide', async () => {
      const keys = [new LimitKey(freshName(), 'x'), new LimitKey(freshName(), 'x')];
      at(0);
      await limits.node.store.decide(rule, keys, 1);
      at(10);
      const failed = await limits.node.store.decide(rule, keys, 1);
      limits.node.store.refund(rule, keys, 1, { ...failed, decidedAtMs: 0 });
      await until(async () => (await remaining(keys))[0] === 19);
      at(60_009);
      expect((await remaining(keys))[0]).toBe(19);
    });

    it('lets the refused go on at once', async () => {
      const one = windowRule(1);
      const key = new LimitKey(freshName(), 'x');
      const failed = await limits.node.store.decide(one, [key], 1);
      expect(await limits.node.store.decide(one, [key], 1)).toMatchObject({ allowed: false });
      limits.node.store.refund(one, [key], 1, failed);
      await until(async () => (await limits.node.store.decide(one, [key], 0)).reports[0]?.remaining === 1);
      expect(await limits.node.store.decide(one, [key], 1)).toMatchObject({ allowed: true });
    });
  });
});
