import { Injectable } from '@nestjs/common';
import { Clock } from '../../platform/config';
import type { LimitKey } from './limit-keys';
import { type LimitReport, type PlanLimit, type Rule, tokenMicros, type WindowLimit } from './limits';
import type { Decision } from './limit-store';
import { RedisWatch } from './redis-watch';

/** The admitted requests of a window, by the process' clock. */
export interface LocalWindow {
  readonly limit: WindowLimit;
  times: number[];
  /** How many of the oldest Redis knows already. */
  known: number;
}

/** The bucket and quota of a plan, by the process' clock. */
export interface LocalPlan {
  readonly limit: PlanLimit;
  /** Milliseconds: when the bucket is full again. */
  fullAt: number;
  /** Milliseconds a token of this node's share takes. */
  tokenMs: number;
  day: number;
  /** Of this day, what Redis knows included. */
  used: number;
  /** How much of it Redis knows already. */
  known: number;
}

export type LocalState = LocalWindow | LocalPlan;

/** What this node admitted without Redis under one key. */
export interface LocalUse {
  readonly key: LimitKey;
  readonly state: LocalState;
}

const mostKeys = 100_000;
const msPerDay = 86_400_000;

interface Verdict {
  readonly reports: readonly LimitReport[];
  readonly consume: () => void;
}

/**
 * The same limits, kept in this process while Redis is away: each node grants its share, a limit divided by the number of
 * nodes last seen alive (rounded down, at least 1), and begins with what Redis last said was used. What it granted is told
 * to Redis when that is back.
 */
@Injectable()
export class LocalLimits {
  private uses = new Map<string, LocalUse>();

  constructor(
    private readonly clock: Clock,
    private readonly watch: RedisWatch,
  ) {}

  /** Decides one request; nothing is consumed unless all limits pass. */
  decide(rule: Rule, keys: readonly LimitKey[], weight: number): Decision {
    this.watch.countLocal();
    const now = this.clock.now();
    const verdicts = rule.limits.map((limit, index) => {
      const key = keys[index] as LimitKey;
      return limit.kind === 'window' ? this.window(key, limit, weight, now) : this.plan(key, limit, weight, now);
    });
    const reports = verdicts.flatMap(({ reports: own }) => own);
    const allowed = reports.every((report) => report.allowed);
    if (allowed) for (const { consume } of verdicts) consume();
    return {
      allowed,
      reports: allowed ? reports.map((report) => spent(report, weight)) : reports,
      subjects: rule.subjects.map((_, index) => index),
      retryAfterMs: Math.max(0, ...reports.map(({ retryAfterMs }) => retryAfterMs)),
      decidedAtMs: undefined,
    };
  }

  /** Gives back what an admitted request consumed. */
  refund(keys: readonly LimitKey[], weight: number): void {
    for (const key of keys) {
      const state = this.uses.get(key.name)?.state;
      if (state === undefined) continue;
      if ('times' in state) state.times.splice(Math.max(state.known, state.times.length - weight));
      else {
        state.fullAt -= weight * state.tokenMs;
        state.used = Math.max(state.known, state.used - weight);
      }
    }
  }

  /** Takes out what was granted since the last call. */
  drain(): LocalUse[] {
    const all = [...this.uses.values()];
    this.uses = new Map();
    for (const { key, state } of all) {
      key.used = ('times' in state ? state.times.length : state.used) * this.watch.nodes;
      key.usedAt = this.clock.now();
    }
    return all;
  }

  /** Puts back what Redis did not take. */
  restore(uses: readonly LocalUse[]): void {
    for (const use of uses) {
      const since = this.uses.get(use.key.name)?.state;
      const { state } = use;
      if (since && 'times' in since && 'times' in state) state.times.push(...since.times.slice(since.known));
      if (since && 'used' in since && 'used' in state) {
        state.used += since.used - since.known;
        state.fullAt = Math.max(state.fullAt, since.fullAt);
      }
      this.uses.set(use.key.name, use);
    }
  }

  private window(key: LimitKey, limit: WindowLimit, weight: number, now: number): Verdict {
    const share = this.shareOf(limit.requests);
    const cost = Math.min(weight, share);
    const state = this.stateOf(key, limit, () => {
      const known = Math.min(share, Math.ceil((key.used * share) / limit.requests));
      return { limit, times: Array.from({ length: known }, () => key.usedAt), known };
    }) as LocalWindow;
    let { times } = state;
    const newest = times.at(-1) ?? now;
    if (newest > now) times = times.map((time) => time - (newest - now)); // the clock went back
    const all = times.length;
    state.times = times = times.filter((time) => time + limit.windowMs > now);
    state.known = Math.max(0, state.known - (all - times.length));
    const left = share - times.length;
    const allowed = cost <= left;
    const leaving = times[allowed ? 0 : cost - left - 1] ?? now;
    const waitMs = leaving + limit.windowMs - now;
    const report = { allowed, remaining: Math.max(0, left), resetMs: waitMs, retryAfterMs: allowed ? 0 : waitMs };
    return {
      reports: [report],
      consume: () => {
        for (let request = 0; request < cost; request += 1) state.times.push(now);
      },
    };
  }

  private plan(key: LimitKey, limit: PlanLimit, weight: number, now: number): Verdict {
    const { burstRequests, requestsPerSecond, requestsPerDay } = limit;
    const day = Math.floor(now / msPerDay);
    const state = this.stateOf(key, limit, () => {
      const isToday = Math.floor(key.usedAt / msPerDay) === day;
      const known = isToday ? Math.ceil(key.used / this.watch.nodes) : 0;
      return { limit, fullAt: now, tokenMs: 0, day, used: known, known };
    }) as LocalPlan;
    if (state.day < day) state.used = state.known = 0;
    state.day = day;
    const reports: LimitReport[] = [];
    let costMs = 0;
    if (burstRequests !== undefined && requestsPerSecond !== undefined) {
      const burst = this.shareOf(burstRequests);
      const tokenMs = (tokenMicros(requestsPerSecond) / 1000) * this.watch.nodes;
      const wholeMs = burst * tokenMs;
      state.tokenMs = tokenMs;
      state.fullAt = Math.min(Math.max(state.fullAt, now), now + wholeMs);
      costMs = Math.min(weight, burst) * tokenMs;
      const roomMs = now + wholeMs - state.fullAt;
      const allowed = costMs <= roomMs;
      const retryAfterMs = allowed ? 0 : Math.ceil(costMs - roomMs);
      const resetMs = allowed ? Math.ceil(state.fullAt + costMs - now) : retryAfterMs;
      reports.push({ allowed, remaining: Math.floor(roomMs / tokenMs), resetMs, retryAfterMs });
    }
    if (requestsPerDay !== undefined) {
      const remaining = Math.max(0, this.shareOf(requestsPerDay) - state.used);
      const resetMs = (day + 1) * msPerDay - now;
      const allowed = weight <= remaining;
      reports.push({ allowed, remaining, resetMs, retryAfterMs: allowed ? 0 : resetMs });
    }
    return {
      reports,
      consume: () => {
        state.fullAt += costMs;
        state.used += weight;
      },
    };
  }

  private stateOf(key: LimitKey, limit: WindowLimit | PlanLimit, fresh: () => LocalState): LocalState {
    const known = this.uses.get(key.name);
    if (known && known.state.limit.kind === limit.kind) return known.state;
    if (this.uses.size >= mostKeys) {
      const first = this.uses.keys().next();
      if (!first.done) this.uses.delete(first.value);
    }
    const state = fresh();
    this.uses.set(key.name, { key, state });
    return state;
  }

  private shareOf(whole: number): number {
    return Math.max(1, Math.floor(whole / this.watch.nodes));
  }
}

function spent(report: LimitReport, weight: number): LimitReport {
  return { ...report, remaining: Math.max(0, report.remaining - weight) };
}
