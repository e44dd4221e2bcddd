import { Injectable } from '@nestjs/common';
import { Clock } from '../../platform/config';
import type { LimitKey } from './limit-keys';
import type { Limit, LimitReport, Rule } from './limits';
import type { Decision } from './limit-store';
import { LocalPlan } from './local-plan';
import type { LocalState } from './local-state';
import { LocalWindow } from './local-window';
import { RedisWatch } from './redis-watch';

/** What this node granted without Redis under one key. */
export interface LocalUse {
  readonly key: LimitKey;
  readonly limit: Limit;
  readonly state: LocalState;
}

const mostKeys = 100_000;

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
    const states: LocalState[] = [];
    const judged: LimitReport[] = [];
    rule.parts.forEach(({ limit, subjects }, index) => {
      const key = keys[index];
      if (key === undefined) throw new Error('A rule needs one key for each of its limits');
      const state = this.stateOf(key, limit);
      states.push(state);
      judged.push(...state.judge(subjects, weight, now));
    });
    const retryAfterMs = Math.max(0, ...judged.map((report) => report.retryAfterMs));
    if (!judged.every((report) => report.allowed)) {
      return { allowed: false, reports: judged, retryAfterMs, decidedAtMs: undefined };
    }
    for (const state of states) state.consume(now);
    const reports = judged.map((report) => ({ ...report, remaining: Math.max(0, report.remaining - weight) }));
    return { allowed: true, reports, retryAfterMs, decidedAtMs: undefined };
  }

  /** Gives back what an admitted request consumed. */
  refund(keys: readonly LimitKey[], weight: number): void {
    for (const { name } of keys) this.uses.get(name)?.state.refund(weight);
  }

  /** Takes out what was granted since the last call. */
  drain(): LocalUse[] {
    const all = [...this.uses.values()];
    this.uses = new Map();
    // Redis may be lost again before it is asked for these keys.
    const now = this.clock.now();
    for (const { key, state } of all) {
      key.assumed = state.used(now);
      key.assumedAt = state.usedAt(now);
    }
    return all;
  }

  /** Puts back what Redis did not take. */
  restore(uses: readonly LocalUse[]): void {
    for (const use of uses) {
      const since = this.uses.get(use.key.name);
      if (since) use.state.add(since.state);
      this.uses.set(use.key.name, use);
    }
  }

  private stateOf(key: LimitKey, limit: Limit): LocalState {
    const known = this.uses.get(key.name);
    if (known?.limit === limit) return known.state;
    if (this.uses.size >= mostKeys) this.forgetOne();
    const { nodes } = this.watch;
    const [used, usedAt] = key.assumed === undefined ? [key.used, key.usedAt] : [key.assumed, key.assumedAt];
    const state =
      limit.kind === 'window' ? new LocalWindow(limit, nodes, used, usedAt) : new LocalPlan(limit, nodes, used, usedAt);
    // Another plan since then: what was granted under the old one counts.
    if (known) state.add(known.state);
    this.uses.set(key.name, { key, limit, state });
    return state;
  }

  private forgetOne(): void {
    const first = this.uses.keys().next();
    if (!first.done) this.uses.delete(first.value);
  }
}
