import type { Clock } from '../../platform/config';
import type { Redis } from '../../platform/redis';
import { amendScript } from './amend-script';
import { byTag, type LimitKey } from './limit-keys';
import { type PlanLimit, type Rule, tokenMicros } from './limits';
import type { LocalLimits } from './local-limits';
import type { AmendmentWords } from './local-state';
import type { RedisWatch } from './redis-watch';
import { callScript } from './script-caller';

/** Nobody waits for an amendment; a Redis that takes longer is away. */
const deadlineMs = 1_000;
const mostInCall = 100;

interface Amendment {
  readonly key: LimitKey;
  readonly words: AmendmentWords;
}

/** Corrects after the fact what Redis counts: refunds, and what was granted without asking it. */
export class Amendments {
  private pending: Amendment[] = [];

  constructor(
    private readonly redis: Redis,
    private readonly watch: RedisWatch,
    private readonly local: LocalLimits,
    private readonly clock: Clock,
    private readonly redisMicros: () => number,
  ) {}

  /** Files the refund of a request that was admitted at `admittedAtMs` of Redis' time; while Redis is away it is lost. */
  refund(rule: Rule, keys: readonly LimitKey[], weight: number, admittedAtMs: number): void {
    if (!this.watch.isTrusted) return;
    if (this.pending.length === 0) setImmediate(this.flush);
    rule.parts.forEach(({ limit }, index) => {
      const key = keys[index];
      if (key === undefined) return;
      const words =
        limit.kind === 'window'
          ? ['refund-window', Math.min(weight, limit.requests), admittedAtMs, limit.windowMs]
          : ['refund-plan', weight, admittedAtMs, costMicros(limit, weight)];
      this.pending.push({ key, words });
    });
  }

  /**
   * Tells Redis what this node granted without it, until nothing is left to tell.
   * @throws RedisUnavailable when Redis did not take all; the rest is kept for the next time
   */
  async settle(): Promise<void> {
    for (let uses = this.local.drain(); uses.length > 0; uses = this.local.drain()) {
      while (uses.length > 0) {
        const part = uses.slice(0, mostInCall);
        const now = this.clock.now();
        try {
          await this.send(
            part.flatMap(({ key, state }) => {
              const words = state.settlement(now);
              return words ? [{ key, words }] : [];
            }),
          );
        } catch (error) {
          this.local.restore(uses);
          throw error;
        }
        uses = uses.slice(mostInCall);
      }
    }
  }

  private readonly flush = (): void => {
    const all = this.pending;
    this.pending = [];
    for (let at = 0; at < all.length; at += mostInCall) {
      // These refunds are lost to their callers; the watch says once that Redis is away.
      this.send(all.slice(at, at + mostInCall)).catch((error: unknown) => this.watch.distrust(error));
    }
  };

  private async send(all: readonly Amendment[]): Promise<void> {
    const groups = this.watch.isCluster ? byTag(all, ({ key }) => key.tag) : [all];
    for (const group of groups) {
      if (group.length === 0) continue;
      const keys = group.map(({ key }) => key.name);
      const words = JSON.stringify(group.map((amendment, index) => [index, ...amendment.words]));
      await callScript(this.redis, amendScript, keys, [words, this.redisMicros()], deadlineMs);
    }
  }
}

function costMicros({ burstRequests, requestsPerSecond }: PlanLimit, weight: number): number {
  if (burstRequests === undefined || requestsPerSecond === undefined) return 0;
  return Math.min(weight, burstRequests) * tokenMicros(requestsPerSecond);
}
