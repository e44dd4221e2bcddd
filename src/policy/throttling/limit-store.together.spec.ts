import fc from 'fast-check';
import { freshName, nodeOfTests } from '../../../test/support/limits';
import { LimitKey } from './limit-keys';
import { type Limit, type PlanLimit, ruleOf, unitMs, type WindowLimit } from './limits';

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** Of the time that `at` takes, which begins at noon. */
const midnightMs = dayMs / 2;

const plan: PlanLimit = { kind: 'plan', name: 'plan', burstRequests: 10, requestsPerSecond: 5, requestsPerDay: 150 };
const [burst, perDay] = [10, 150];
/** In thousandths of a token. */
const perMs = 5;
const methods = 2;

interface Judged {
  readonly allowed: boolean;
  /** Of the window, the bucket and the day. */
  readonly remaining: readonly number[];
  readonly retryAfterMs: number;
  /** Without what the bucket asks for. */
  readonly longAfterMs: number;
}

/** One app with a window for each of its methods and one plan: slow, and so simple that it cannot be wrong. */
class SlowLimits {
  private readonly logs: number[][] = Array.from({ length: methods }, () => []);
  private thousandths = burst * 1000;
  private used = 0;
  private seenAt = -Infinity;

  constructor(private readonly window: WindowLimit) {}

  decide(now: number, method: number, weight: number): Judged {
    this.thousandths = Math.min(burst * 1000, this.thousandths + (now - this.seenAt) * perMs);
    if (this.seenAt < midnightMs && now >= midnightMs) this.used = 0;
    this.seenAt = now;
    const { requests } = this.window;
    const log = (this.logs[method] ?? []).filter((time) => time + minuteMs > now);

    const [places, tokens] = [Math.min(weight, requests), Math.min(weight, burst)];
    const waits: number[] = [];
    let refillMs = 0;
    if (log.length + places > requests) waits.push((log[log.length + places - requests - 1] ?? 0) + minuteMs - now);
    if (tokens * 1000 > this.thousandths) refillMs = Math.ceil((tokens * 1000 - this.thousandths) / perMs);
    if (this.used + weight > perDay) waits.push((now < midnightMs ? midnightMs : midnightMs + dayMs) - now);

    const longAfterMs = Math.max(0, ...waits);
    const retryAfterMs = Math.max(longAfterMs, refillMs);
    const allowed = retryAfterMs === 0;
    if (allowed) {
      const unit = unitMs(this.window);
      for (let place = 0; place < places; place += 1) log.push(Math.ceil(now / unit) * unit);
      this.thousandths -= tokens * 1000;
      this.used += weight;
    }
    this.logs[method] = log;
    const remaining = [requests - log.length, Math.floor(this.thousandths / 1000), perDay - this.used];
    return { allowed, remaining, retryAfterMs, longAfterMs };
  }
}

const request = fc.record({
  method: fc.nat({ max: methods - 1 }),
  weight: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.nat({ max: 14 })),
});
/** Time goes on; then some requests come at once. */
const step = fc.record({
  waitMs: fc.oneof(
    { weight: 2, arbitrary: fc.nat({ max: 40 }) },
    { weight: 6, arbitrary: fc.nat({ max: 1_500 }) },
    { weight: 3, arbitrary: fc.nat({ max: 9_000 }) },
    fc.nat({ max: 70_000 }),
    fc.constant(minuteMs),
  ),
  requests: fc.array(request, { minLength: 1, maxLength: 20, size: 'max' }),
});
const steps = fc.array(step, { minLength: 1, maxLength: 40, size: 'max' });
const start = midnightMs - 1.5 * minuteMs;

describe.each([8, 20, 60])('a window of %i, a rate and a quota together', (requests) => {
  const limits = nodeOfTests();
  const window: WindowLimit = { kind: 'window', name: 'window', requests, windowMs: minuteMs };
  const rule = ruleOf([window, plan] satisfies Limit[]);

  it('pass what a slow log, a slow bucket and a count would, and take all or nothing', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const slow = new SlowLimits(window);
        const [ofPlan, ...ofMethods] = Array.from({ length: 1 + methods }, freshName);
        let now = start;
        for (const { waitMs, requests: some } of all) {
          now += waitMs;
          limits.at(now);
          const decisions = await Promise.all(
            some.map(({ method, weight }) => limits.node.fresh(rule, [ofMethods[method] ?? '', ofPlan ?? ''], weight)),
          );
          const judged = decisions.map(({ allowed, reports, retryAfterMs }) => {
            return { allowed, remaining: reports.map(({ remaining }) => remaining), retryAfterMs };
          });
          const expected = some.map(({ method, weight }) => slow.decide(now, method, weight));
          expect(expected).toMatchObject(judged);
        }
      }),
      { numRuns: 40, endOnFailure: true },
    );
  });

  it('pass the same where the process remembers what was refused, and say no shorter wait', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const slow = new SlowLimits(window);
        const [ofPlan, ...ofMethods] = Array.from({ length: 1 + methods }, () => new LimitKey(freshName(), 'x'));
        let now = start;
        for (const { waitMs, requests: some } of all) {
          now += waitMs;
          limits.at(now);
          limits.node.clock.advance(waitMs);
          for (const { method, weight } of some) {
            const keys = [ofMethods[method], ofPlan].filter((key) => key !== undefined);
            const { allowed, retryAfterMs } = await limits.node.store.decide(rule, keys, weight);
            const expected = slow.decide(now, method, weight);
            expect(allowed).toBe(expected.allowed);
            expect(retryAfterMs > 0).toBe(!allowed);
            // The bucket is full again before the second has passed in which everybody waits at least.
            expect(retryAfterMs).toBeGreaterThanOrEqual(expected.longAfterMs);
            expect(retryAfterMs).toBeLessThanOrEqual(Math.max(expected.retryAfterMs, minuteMs));
          }
        }
      }),
      { numRuns: 40, endOnFailure: true },
    );
  });
});
