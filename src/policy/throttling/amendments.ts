import type { Clock } from '../../platform/config';
import type { Redis } from '../../platform/redis';
import type { Log } from '../../platform/telemetry';
import { amendScript } from './amend-script';
import { byTag, type LimitKey } from './limit-keys';
import { type PlanLimit, type Rule, tokenMicros, unitMs } from './limits';
import type { LocalLimits, LocalUse } from './local-limits';
import type { RedisWatch } from './redis-watch';
import { callScript } from './script-caller';

/** Nobody waits for an amendment; a Redis that takes longer is away. */
const deadlineMs = 1_000;
const mostInCall = 100;

/** A correction in the script's words, without the index of its key. */
interface Amendment {
  readonly key: LimitKey;
  readonly words: readonly (string | number | readonly number[])[];
}

/** Corrects after the fact what Redis counts: refunds, and what was granted without asking it. */
export class Amendments {
  private pending: Amendment[] = [];

  constructor(
    private readonly redis: Redis,
    private readonly watch: RedisWatch,
    private readonly local: LocalLimits,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly redisMicros: () => number,
  ) {}

  /** Files the refund of a request that was admitted at `admittedAtMs` of Redis' time. */
  refund(rule: Rule, keys: readonly LimitKey[], weight: number, admittedAtMs: number): void {
    if (this.pending.length === 0) setImmediate(this.flush);
    rule.limits.forEach((limit, index) => {
      const key = keys[index] as LimitKey;
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
        try {
          await this.send(part.map((use) => settlement(use, this.clock.now())).filter((one) => one !== undefined));
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
      this.send(all.slice(at, at + mostInCall)).catch((error: unknown) => {
        this.log.warn({ err: error }, 'Refunds of rate limits were lost: Redis did not take them');
      });
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

function settlement({ key, state }: LocalUse, now: number): Amendment | undefined {
  if ('times' in state) {
    const { limit } = state;
    const ages = state.times.slice(state.known).map((time) => Math.max(0, now - time)).filter((age) => age < limit.windowMs);
    if (ages.length === 0) return undefined;
    return { key, words: ['settle-window', limit.requests, limit.windowMs, unitMs(limit), ages] };
  }
  const { limit, fullAt, tokenMs } = state;
  const used = state.used - state.known;
  if (used === 0) return undefined;
  const owedTokens = tokenMs === 0 ? 0 : Math.max(0, fullAt - now) / tokenMs;
  const micros = limit.requestsPerSecond === undefined ? 0 : tokenMicros(limit.requestsPerSecond);
  const debtMicros = Math.ceil(owedTokens * micros);
  return { key, words: ['settle-plan', debtMicros, micros * (limit.burstRequests ?? 0), used] };
}
