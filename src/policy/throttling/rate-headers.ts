import type { Response } from 'express';
import type { LimitReport, Rule } from './limits';

/** The name of a policy as a string of structured fields (RFC 9651 §3.3.3): printable ASCII, quotes and backslashes escaped. */
export function quoted(name: string): string {
  return `"${name.replaceAll(/[^\x20-\x7e]/g, '_').replaceAll(/["\\]/g, '\\$&')}"`;
}

/** The value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers) for a rule. */
export function policyHeader({ subjects }: Pick<Rule, 'subjects'>): string {
  return subjects.map(({ name, quota, windowSeconds }) => `${quoted(name)};q=${quota};w=${windowSeconds}`).join(', ');
}

/** Writes what every answer to a limited request says. Nothing where nothing is limited. */
export function writeHeaders(response: Response, policy: string, reports: readonly LimitReport[], now: number): void {
  let tightest: LimitReport | undefined;
  let state = '';
  for (const report of reports) {
    const item = `${report.subject.item}${report.remaining};t=${Math.ceil(report.resetMs / 1000)}`;
    state = state === '' ? item : `${state}, ${item}`;
    if (tightest === undefined || isTighter(report, tightest)) tightest = report;
  }
  if (tightest === undefined) return;
  response.setHeader('X-Rate-Limit-Limit', tightest.subject.quotaText);
  response.setHeader('X-Rate-Limit-Remaining', String(tightest.remaining));
  response.setHeader('X-Rate-Limit-Reset', String(Math.ceil((now + tightest.resetMs) / 1000)));
  response.setHeader('RateLimit-Policy', policy);
  response.setHeader('RateLimit', state);
}

/**
 * The tightest limit is the one that refuses for longest; else the one with the smallest share left. While all have half
 * or more left it is the first: the route's own tier, where it has one, then the plan.
 */
function isTighter(report: LimitReport, than: LimitReport): boolean {
  if (report.retryAfterMs !== than.retryAfterMs) return report.retryAfterMs > than.retryAfterMs;
  const share = report.remaining / report.subject.quota;
  return share < 0.5 && share < than.remaining / than.subject.quota;
}
