import { quoted } from './rate-headers';

/** At most `requests` in any span of `windowMs`: an exact sliding window. */
export interface WindowLimit {
  readonly kind: 'window';
  /** The policy's name in the headers and metrics. */
  readonly name: string;
  readonly requests: number;
  readonly windowMs: number;
}

/**
 * A token bucket of `burstRequests`, refilled at `requestsPerSecond` (as GCRA), and a quota for the day of UTC. They
 * share one key. What is `undefined` is counted and not limited.
 */
export interface PlanLimit {
  readonly kind: 'plan';
  readonly name: string;
  readonly burstRequests: number | undefined;
  readonly requestsPerSecond: number | undefined;
  readonly requestsPerDay: number | undefined;
}

export type Limit = WindowLimit | PlanLimit;

/** One line of a decision: a window and a quota give one each, a plan with a rate and a quota two. */
export interface LimitReport {
  readonly subject: ReportSubject;
  readonly allowed: boolean;
  /** Requests that would still pass now. */
  readonly remaining: number;
  /** Until more becomes available: the oldest request leaves the window, the bucket is full, the day ends. */
  readonly resetMs: number;
  /** Until this very request would pass this limit; 0 where it passes. */
  readonly retryAfterMs: number;
}

/** What a report is about. */
export interface ReportSubject {
  /** The policy's name; the day's quota is called `daily`. */
  readonly name: string;
  /** The most that `remaining` can be: the window's requests, the bucket's size, the day's quota. */
  readonly quota: number;
  /** In how many seconds the whole quota comes back, rounded up. */
  readonly windowSeconds: number;
  /** How a structured field about it begins: `"name";r=`. */
  readonly item: string;
  readonly quotaText: string;
}

export interface RulePart {
  readonly limit: Limit;
  /** Where its subjects begin among the rule's. */
  readonly from: number;
  readonly subjects: readonly ReportSubject[];
}

/** Several limits that are decided together, prepared once: what the script is told and what its answer means. */
export interface Rule {
  /** In the order of the reports. */
  readonly subjects: readonly ReportSubject[];
  /** Each limit with its own subjects. */
  readonly parts: readonly RulePart[];
  /** The limits in the script's words. */
  readonly wire: string;
}

const secondsPerDay = 86_400;
const microsPerSecond = 1_000_000;
/** A window's span must fit into two bytes, whatever its unit. */
const mostUnits = 65_000;
/** Up to here a window is kept to the millisecond; a larger one to 10 ms, rounded against the caller (see the scripts). */
const mostRequestsKeptByMillisecond = 32;

/** Prepares a rule. @throws Error for a limit that cannot be kept exactly */
export function ruleOf(limits: readonly Limit[]): Rule {
  const parts: RulePart[] = [];
  let from = 0;
  for (const limit of limits) {
    const subjects = subjectsOf(limit);
    parts.push({ limit, from, subjects });
    from += subjects.length;
  }
  const subjects = parts.flatMap((part) => part.subjects);
  return { parts, subjects, wire: `[${limits.map(wireOf).join(',')}]` };
}

/** Microseconds between two tokens. */
export function tokenMicros(requestsPerSecond: number): number {
  return microsPerSecond / requestsPerSecond;
}

/** Milliseconds in which a window counts time. */
export function unitMs({ requests, windowMs }: WindowLimit): number {
  const least = Math.ceil(windowMs / mostUnits);
  return requests <= mostRequestsKeptByMillisecond ? least : Math.max(10, least);
}

function wireOf(limit: Limit): string {
  if (limit.kind === 'window') {
    const { requests, windowMs } = limit;
    const unit = unitMs(limit);
    positive(requests);
    positive(windowMs);
    if (requests > mostUnits || unit > 255) throw new Error(`The window of "${limit.name}" is too large`);
    return `[1,${requests},${windowMs},${unit}]`;
  }
  const { burstRequests = 0, requestsPerSecond, requestsPerDay = 0 } = limit;
  if (requestsPerSecond !== undefined) positive(tokenMicros(requestsPerSecond));
  if ((requestsPerSecond === undefined) !== (limit.burstRequests === undefined))
    throw new Error(`"${limit.name}" needs both a burst and a rate, or neither`);
  return `[2,${burstRequests},${requestsPerSecond === undefined ? 0 : tokenMicros(requestsPerSecond)},${requestsPerDay}]`;
}

function positive(value: number): void {
  if (!Number.isInteger(value) || value < 1) throw new Error(`A limit needs whole numbers above 0; got ${value}`);
}

function subjectsOf(limit: Limit): ReportSubject[] {
  if (limit.kind === 'window') return [subjectOf(limit.name, limit.requests, Math.ceil(limit.windowMs / 1000))];
  const subjects: ReportSubject[] = [];
  const { name, burstRequests, requestsPerSecond, requestsPerDay } = limit;
  if (burstRequests !== undefined && requestsPerSecond !== undefined) {
    subjects.push(subjectOf(name, burstRequests, Math.ceil(burstRequests / requestsPerSecond)));
  }
  if (requestsPerDay !== undefined) subjects.push(subjectOf('daily', requestsPerDay, secondsPerDay));
  return subjects;
}

/** What reports about one limit say it is. */
export function subjectOf(name: string, quota: number, windowSeconds: number): ReportSubject {
  return { name, quota, windowSeconds, item: `${quoted(name)};r=`, quotaText: String(quota) };
}
