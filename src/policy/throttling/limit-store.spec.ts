import fc from 'fast-check';
import { freshName, nodeOfTests, windowRule } from '../../../test/support/limits';
import { AppKeys } from './limit-keys';
import { type PlanLimit, ruleOf } from './limits';
import { limitOfTier, limitsOfPlan } from './usage-plans';

const dayMs = 86_400_000;

describe('the limit store', () => {
  const limits = nodeOfTests();
  const { at, passes } = limits;

  describe('with a window', () => {
    it('frees a place exactly one window after it was taken, to the millisecond', async () => {
      const rule = windowRule(20);
      const name = [freshName()];
      for (let request = 0; request < 20; request += 1) {
        at(request * 7);
        expect(await passes(rule, name)).toBe(true);
      }
      at(59_999);
      expect(await limits.node.fresh(rule, name)).toMatchObject({ allowed: false, retryAfterMs: 1 });
      at(60_000);
      expect(await passes(rule, name)).toBe(true);
      expect(await limits.node.fresh(rule, name)).toMatchObject({ allowed: false, retryAfterMs: 7 });
      at(60_006);
      expect(await passes(rule, name)).toBe(false);
      at(60_007);
      expect(await passes(rule, name)).toBe(true);
    });

    it.each([1, 20, 32, 33, 50, 100, 500])(
      'admits what a slow log of %i a window would, never one more',
      async (requests) => {
        const step = fc.record({
          waitMs: fc.oneof(
            fc.integer({ min: 0, max: 40 }),
            fc.integer({ min: 0, max: 9_000 }),
            fc.integer({ min: 0, max: 70_000 }),
          ),
          calls: fc.integer({ min: 1, max: Math.ceil(requests / 2) }),
          weight: fc.integer({ min: 1, max: Math.min(3, requests) }),
        });
        const unit = requests > 32 ? 10 : 1;
        await fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
            const rule = windowRule(requests);
            const name = [freshName()];
            let log: number[] = [];
            let now = 0;
            for (const { waitMs, calls, weight } of steps) {
              now += waitMs;
              at(now);
              for (let call = 0; call < Math.min(calls, 12); call += 1) {
                log = log.filter((time) => time + 60_000 > now);
                const { allowed, reports, retryAfterMs } = await limits.node.fresh(rule, name, weight);
                const expected = log.length + weight <= requests;
                expect(allowed).toBe(expected);
                if (allowed) for (let one = 0; one < weight; one += 1) log.push(Math.ceil(now / unit) * unit);
                expect(reports[0]?.remaining).toBe(requests - log.length);
                if (!expected)
                  expect(retryAfterMs).toBe((log[weight - (requests - log.length) - 1] ?? 0) + 60_000 - now);
              }
            }
          }),
          { numRuns: 25 },
        );
      },
    );

    it('counts a larger window in units of 10 ms, late by less than one and never early', async () => {
      const rule = windowRule(100);
      const name = [freshName()];
      at(3);
      for (let request = 0; request < 100; request += 1) expect(await passes(rule, name)).toBe(true);
      at(60_003);
      expect(await passes(rule, name)).toBe(false);
      at(60_010);
      expect(await passes(rule, name)).toBe(true);
    });
  });

  describe('with a plan', () => {
    const plan = (burstRequests: number, requestsPerSecond: number, requestsPerDay: number): PlanLimit => ({
      kind: 'plan',
      name: 'plan',
      burstRequests,
      requestsPerSecond,
      requestsPerDay,
    });

    it('admits what a slow token bucket and a day’s count would', async () => {
      const step = fc.record({
        waitMs: fc.integer({ min: 0, max: 400 }),
        calls: fc.integer({ min: 1, max: 15 }),
        weight: fc.integer({ min: 1, max: 3 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
          const rule = ruleOf([plan(10, 20, 60)]);
          const name = [freshName()];
          // In thousandths of a token: 20 a second are 20 thousandths a millisecond.
          let tokens = 10_000;
          let used = 0;
          let now = dayMs / 2 - 2_000; // shortly before midnight
          let day = 0;
          for (const { waitMs, calls, weight } of steps) {
            now += waitMs;
            tokens = Math.min(10_000, tokens + waitMs * 20);
            const today = Math.floor((now + dayMs / 2) / dayMs);
            if (today > day) used = 0;
            day = today;
            at(now);
            for (let call = 0; call < calls; call += 1) {
              const expected = tokens >= weight * 1000 && used + weight <= 60;
              const { allowed, reports } = await limits.node.fresh(rule, name, weight);
              expect(allowed).toBe(expected);
              if (allowed) {
                tokens -= weight * 1000;
                used += weight;
              }
              expect(reports.map(({ remaining }) => remaining)).toEqual([Math.floor(tokens / 1000), 60 - used]);
            }
          }
        }),
        { numRuns: 40 },
      );
    });

    it('gives a burst of 10 and then one token each 50 ms on the standard plan', async () => {
      const rule = ruleOf([limitsOfPlan.standard]);
      const name = [freshName()];
      at(0);
      for (let request = 0; request < 10; request += 1) expect(await passes(rule, name)).toBe(true);
      expect(await limits.node.fresh(rule, name)).toMatchObject({ allowed: false, retryAfterMs: 50 });
      at(49);
      expect(await passes(rule, name)).toBe(false);
      at(50);
      expect(await passes(rule, name)).toBe(true);
      expect(await passes(rule, name)).toBe(false);
    });

    it('ends a quota with the day of UTC, and says how long that is', async () => {
      const rule = ruleOf([plan(1000, 1000, 5)]);
      const name = [freshName()];
      // Its key lives to the end of the day, and a second, by the clock of Redis: so not close to that yet.
      at(dayMs / 2 - 30_000);
      for (let request = 0; request < 5; request += 1) expect(await passes(rule, name)).toBe(true);
      at(dayMs / 2 - 1);
      expect(await limits.node.fresh(rule, name)).toMatchObject({ allowed: false, retryAfterMs: 1 });
      at(dayMs / 2);
      expect(await passes(rule, name)).toBe(true);
    });

    it('counts the internal plan and never refuses it', async () => {
      const name = [freshName()];
      at(0);
      for (let request = 0; request < 300; request += 1)
        expect(await passes(ruleOf([limitsOfPlan.internal]), name)).toBe(true);
      const { reports } = await limits.node.fresh(ruleOf([limitsOfPlan.standard]), name, 0);
      expect(reports[1]?.remaining).toBe(9_700);
    });
  });

  describe('with several limits', () => {
    const rule = ruleOf([limitOfTier(2, 'post'), limitsOfPlan.standard]);

    it('consumes nothing anywhere when one of them refuses', async () => {
      const [tier, plan] = [freshName(), freshName()];
      at(0);
      for (let request = 0; request < 10; request += 1) expect(await passes(rule, [tier, plan])).toBe(true);
      const { reports } = await limits.node.fresh(rule, [tier, plan]);
      expect(reports.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
        [true, 10],
        [false, 0],
        [true, 9_990],
      ]);
      at(1_000);
      for (let request = 0; request < 10; request += 1) expect(await passes(rule, [tier, plan])).toBe(true);
      at(2_000);
      const refused = await limits.node.fresh(rule, [tier, plan]);
      expect(refused.reports.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
        [false, 0],
        [true, 10],
        [true, 9_980],
      ]);
      expect(refused.retryAfterMs).toBe(58_000);
    });

    it('waits for the longest of those that refuse', async () => {
      const [tier, plan] = [freshName(), freshName()];
      at(0);
      for (let request = 0; request < 10; request += 1) await passes(rule, [tier, plan]);
      at(1_000);
      for (let request = 0; request < 10; request += 1) await passes(rule, [tier, plan]);
      expect((await limits.node.fresh(rule, [tier, plan])).retryAfterMs).toBe(59_000);
    });

    it('decides a batch in which an app meets itself one after the other', async () => {
      const [tier, plan] = [freshName(), freshName()];
      at(0);
      const decisions = await Promise.all(Array.from({ length: 200 }, () => limits.node.fresh(rule, [tier, plan])));
      expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(10);
    });

    it('keeps neighbours apart: other app, other workspace, other method', async () => {
      const apps = ['a', 'b'].map((name) => new AppKeys(name));
      const windows = apps.flatMap((app) =>
        ['x', 'y'].flatMap((space) => ['m', 'n'].map((method) => app.window(space, method))),
      );
      expect(new Set([...windows, ...apps.map(({ plan }) => plan)].map(({ name }) => name)).size).toBe(10);
      const one = windowRule(1);
      for (const key of windows) expect(await limits.node.store.decide(one, [key], 1)).toMatchObject({ allowed: true });
      for (const key of windows)
        expect(await limits.node.store.decide(one, [key], 1)).toMatchObject({ allowed: false });
    });
  });
});
