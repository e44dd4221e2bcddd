import type { Limit, LimitReport } from './limits';

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

/** What a refusal that still holds says now. Where the clock went back, no time has passed. */
export function reportsNow({ reports, receivedAt }: Denial, now: number): LimitReport[] {
  const passed = Math.max(0, now - receivedAt);
  return reports.map(({ subject, remaining, resetMs, retryAfterMs }) => ({
    subject,
    allowed: retryAfterMs <= passed,
    remaining,
    resetMs: Math.max(0, resetMs - passed),
    retryAfterMs: Math.max(0, retryAfterMs - passed),
  }));
}
