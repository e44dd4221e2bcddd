import { type Limit, type LimitReport, type PlanLimit, tokenMicros } from './limits';

/** A key's refusal, remembered in the process so that a flood of refused requests costs no call to Redis. */
export interface Denial {
  readonly limit: Limit;
  /** Reports of that limit, as they were then. */
  readonly reports: readonly LimitReport[];
  /** Requests that the refused one counted as; a lighter one may pass. */
  readonly weight: number;
  /** Milliseconds of the process' clock: when Redis was asked. What it said held from then on at the latest. */
  readonly sentAt: number;
  /** When its answer came: what it said of durations holds from then on at the most. */
  readonly receivedAt: number;
  /** When Redis must be asked again: never later than the place is free. */
  readonly until: number;
}

/** Whether it is of what takes longest to come back under its key: the window, or the day's quota and not the bucket. */
export function refusesLongest({ reports }: Denial): boolean {
  return reports.at(-1)?.allowed === false;
}

/**
 * What a refusal that still holds says now. Where the clock went back, no time has passed. A request that weighs more than
 * the one that was refused waits longer; how much longer is known of a bucket, and of a window only that it is no more than
 * a whole one.
 */
export function reportsNow(denial: Denial, weight: number, now: number): LimitReport[] {
  const { limit, reports, receivedAt } = denial;
  const passed = Math.max(0, now - receivedAt);
  const more = weight - denial.weight;
  return reports.map(({ subject, remaining, resetMs, retryAfterMs }) => {
    const retry = retryAfterMs <= passed ? 0 : retryAfterMs - passed;
    const reset = Math.max(0, resetMs - passed);
    if (retry === 0 || more === 0)
      return { subject, allowed: retry === 0, remaining, resetMs: reset, retryAfterMs: retry };
    const whole =
      limit.kind === 'window' ? limit.windowMs : retry + (subject.name === limit.name ? more * tokenMs(limit) : 0);
    return { subject, allowed: false, remaining, resetMs: whole, retryAfterMs: whole };
  });
}

function tokenMs({ requestsPerSecond }: PlanLimit): number {
  return requestsPerSecond === undefined ? 0 : Math.ceil(tokenMicros(requestsPerSecond) / 1000);
}
