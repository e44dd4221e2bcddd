import type { Limit, LimitReport } from './limits';

/** A key's refusal, remembered in the process so that a flood of refused requests costs no call to Redis. */
export interface Denial {
  readonly limit: Limit;
  /** Reports of that limit, as they were then. */
  readonly reports: readonly LimitReport[];
  /** Requests that the refused one counted as; a lighter one may pass. */
  readonly weight: number;
  /** Milliseconds of the process' clock. */
  readonly since: number;
  readonly until: number;
}

/** The reports of a refusal that still holds; `undefined` where Redis must be asked. */
export function stillDenied(denial: Denial, limit: Limit, weight: number, now: number): LimitReport[] | undefined {
  // Before `since` only when the clock went back: then nobody knows how long it still holds.
  if (denial.limit !== limit || weight < denial.weight || now >= denial.until || now < denial.since) return undefined;
  const passed = now - denial.since;
  return denial.reports.map(({ remaining, resetMs, retryAfterMs }) => ({
    allowed: retryAfterMs - passed <= 0,
    remaining,
    resetMs: Math.max(0, resetMs - passed),
    retryAfterMs: Math.max(0, retryAfterMs - passed),
  }));
}
