import type { Response } from 'express';
import type { Decision } from './limit-store';
import type { LimitReport, ReportSubject, Rule } from './limits';

/** The header strings of a rule that never change. */
export interface RuleHeaders {
  /** The value of `RateLimit-Policy`. */
  readonly policy: string;
  /** For each subject `"name";r=`, as a structured field begins it. */
  readonly items: readonly string[];
}

/** Prepares the headers of a rule (draft-ietf-httpapi-ratelimit-headers, in RFC 9651's grammar). */
export function headersOf({ subjects }: Rule): RuleHeaders {
  const names = subjects.map(({ name }) => quoted(name));
  const policies = subjects.map(({ quota, windowSeconds }, index) => `${names[index]};q=${quota};w=${windowSeconds}`);
  return { policy: policies.join(', '), items: names.map((name) => `${name};r=`) };
}

/** A string of structured fields: printable ASCII, with quotes and backslashes escaped. */
function quoted(name: string): string {
  return `"${name.replaceAll(/[^\x20-\x7e]/g, '_').replaceAll(/["\\]/g, '\\$&')}"`;
}

/** Writes what every answer to a limited request says. Nothing where nothing is limited. */
export function writeHeaders(
  response: Response,
  { subjects: all }: Rule,
  { policy, items }: RuleHeaders,
  { reports, subjects }: Decision,
  now: number,
): void {
  if (reports.length === 0) return;
  let state = '';
  let tightest = 0;
  for (let index = 0; index < reports.length; index += 1) {
    const report = reports[index] as LimitReport;
    const subject = subjects[index] as number;
    const item = `${items[subject]}${report.remaining};t=${Math.ceil(report.resetMs / 1000)}`;
    state = index === 0 ? item : `${state}, ${item}`;
    if (index > 0 && isTighter(all, reports, subjects, index, tightest)) tightest = index;
  }
  const report = reports[tightest] as LimitReport;
  const { quota } = all[subjects[tightest] as number] as ReportSubject;
  response.setHeader('X-Rate-Limit-Limit', String(quota));
  response.setHeader('X-Rate-Limit-Remaining', String(report.remaining));
  response.setHeader('X-Rate-Limit-Reset', String(Math.ceil((now + report.resetMs) / 1000)));
  response.setHeader('RateLimit-Policy', policy);
  response.setHeader('RateLimit', state);
}

/**
 * The tightest limit is the one that refuses for longest; else the one with the smallest share left. While all have half
 * or more left it is the first: the route's own tier, where it has one, then the plan.
 */
function isTighter(
  all: readonly ReportSubject[],
  reports: readonly LimitReport[],
  subjects: readonly number[],
  candidate: number,
  than: number,
): boolean {
  const a = reports[candidate] as LimitReport;
  const b = reports[than] as LimitReport;
  if (a.retryAfterMs !== b.retryAfterMs) return a.retryAfterMs > b.retryAfterMs;
  const share = a.remaining / (all[subjects[candidate] as number] as ReportSubject).quota;
  return share < 0.5 && share < b.remaining / (all[subjects[than] as number] as ReportSubject).quota;
}
