import { Injectable } from '@nestjs/common';
import { Clock, Config } from '../../platform/config';
import { Redis } from '../../platform/redis';
import { Amendments } from './amendments';
import { DecisionBatches } from './decision-batches';
import { type Denial, refusesLongest, reportsNow } from './denial';
import type { LimitKey } from './limit-keys';
import type { LimitReport, Rule } from './limits';
import { LocalLimits } from './local-limits';
import { RedisWatch } from './redis-watch';

const msPerDay = 86_400_000;

/** The answer to one request: it passes all limits, or nothing was consumed. */
export interface Decision {
  readonly allowed: boolean;
  /** One for each of the rule's subjects; a refusal out of this process' memory reports only the limit that refuses. */
  readonly reports: readonly LimitReport[];
  /** Longest `retryAfterMs`: before that, the same request cannot pass. */
  readonly retryAfterMs: number;
  /** Redis' time of the decision in milliseconds; `undefined` where Redis was not asked. */
  readonly decidedAtMs: number | undefined;
}

/**
 * Decides all limits of a request in one atomic step in Redis, on Redis' clock; the requests of one turn of the event
 * loop travel together. Where Redis has lost what it had granted to this process and what still counts (it was emptied, it
 * restarted, it had no room), it is told before the request is decided. Where Redis is away or late, decides in the process
 * (see `LocalLimits`): it never throws, and waits no longer than `REDIS_DEADLINE_MS` for an answer of Redis.
 */
@Injectable()
export class LimitStore {
  private readonly batches: DecisionBatches;
  private readonly amendments: Amendments;

  constructor(
    redis: Redis,
    config: Config,
    private readonly clock: Clock,
    private readonly watch: RedisWatch,
    private readonly local: LocalLimits,
  ) {
    const deadlineMs = config.get('REDIS_DEADLINE_MS');
    const time = () => this.redisMicros();
    this.amendments = new Amendments(redis, watch, local, clock, time);
    this.batches = new DecisionBatches(redis, deadlineMs, watch, local, this.amendments, clock, time);
    watch.settleWith(() => this.amendments.settle());
  }

  /**
   * Decides one request. Answers at once, without a promise, where the process knows the answer.
   * @param keys one for each limit of the rule, all with one tag
   * @param weight requests that this one counts as; 0 looks without consuming. More than a window or bucket holds counts
   *   as all of it.
   */
  decide(rule: Rule, keys: readonly LimitKey[], weight: number): Decision | Promise<Decision> {
    const denials = this.denialsOf(rule, keys, weight);
    if (denials) return this.remembered(denials, weight);
    if (!this.watch.isTrusted) return this.local.decide(rule, keys, weight);
    return this.batches.decide(rule, keys, weight);
  }

  /** Gives back what an admitted request consumed. Returns at once; what Redis does not take is lost to the caller. */
  refund(rule: Rule, keys: readonly LimitKey[], weight: number, decision: Decision): void {
    rule.parts.forEach(({ limit }, index) => {
      const key = keys[index];
      if (key === undefined) return;
      key.denial = undefined;
      key.used = Math.max(0, key.used - weight);
      if (limit.kind === 'window' && decision.decidedAtMs !== undefined)
        key.forgetGrants(decision.decidedAtMs, Math.min(weight, limit.requests), limit.windowMs);
    });
    if (decision.decidedAtMs === undefined) this.local.refund(keys, weight);
    else this.amendments.refund(rule, keys, weight, decision.decidedAtMs);
  }

  /** Microseconds since 1970 that the scripts take for now; 0 is Redis' own clock. Only a test's subclass says otherwise. */
  protected redisMicros(): number {
    return 0;
  }

  /** What the process knows of the keys' refusals; `undefined` where it knows of none that holds. */
  private denialsOf(rule: Rule, keys: readonly LimitKey[], weight: number): Denial[] | undefined {
    let denials: Denial[] | undefined;
    for (const key of keys) {
      const { denial } = key;
      if (denial === undefined) continue;
      const now = this.clock.now();
      const isOver = now >= denial.until || now < denial.sentAt;
      if (isOver) key.denial = undefined;
      // Another plan since then, or a lighter request: Redis knows.
      else if (weight >= denial.weight && rule.parts.some(({ limit }) => limit === denial.limit))
        (denials ??= []).push(denial);
    }
    return denials && !this.mayWaitLonger(rule, keys, weight, denials) ? denials : undefined;
  }

  /** Whether a limit that these denials say nothing of is used up as far as is known: Redis knows for how long. */
  private mayWaitLonger(
    { parts }: Rule,
    keys: readonly LimitKey[],
    weight: number,
    denials: readonly Denial[],
  ): boolean {
    return parts.some(({ limit }, index) => {
      const key = keys[index];
      if (key === undefined || denials.some((denial) => denial === key.denial && refusesLongest(denial))) return false;
      const [most, livesMs] =
        limit.kind === 'window' ? [limit.requests, limit.windowMs] : [limit.requestsPerDay ?? Infinity, msPerDay];
      const isUsedUp = key.used + (limit.kind === 'window' ? Math.min(weight, most) : weight) > most;
      return isUsedUp && this.clock.now() < key.usedAt + livesMs;
    });
  }

  /** Refused by one key, a request still waits for the longest of all that refuse it. */
  private remembered(denials: readonly Denial[], weight: number): Decision {
    const now = this.clock.now();
    const reports = denials.flatMap((denial) => reportsNow(denial, weight, now));
    const retryAfterMs = Math.max(...reports.map((report) => report.retryAfterMs));
    return { allowed: false, reports, retryAfterMs, decidedAtMs: undefined };
  }
}
