import type { Clock } from '../../platform/config';
import type { Redis } from '../../platform/redis';
import { amendScript } from './amend-script';
import { byTag, type LimitKey } from './limit-keys';
import type { Decision } from './limit-store';
import { type Limit, type PlanLimit, type Rule, tokenMicros, unitMs } from './limits';
import type { LocalLimits, LocalUse } from './local-limits';
import type { AmendmentWords } from './local-state';
import type { RedisWatch } from './redis-watch';
import { callScript } from './script-caller';

/** Nobody waits for an amendment; a Redis that takes longer is away. */
const deadlineMs = 1_000;
const mostInCall = 100;
const msPerDay = 86_400_000;

interface Amendment {
  readonly key: LimitKey;
  readonly words: AmendmentWords;
}

/** A request that Redis decided without what it had counted before. */
export interface MisjudgedRequest {
  readonly rule: Rule;
  readonly keys: readonly LimitKey[];
  readonly weight: number;
  readonly decision: Decision;
}

/** Corrects after the fact what Redis counts: refunds, what was granted without asking it, and what it has lost. */
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
    this.pending.push(...refundsOf(rule, keys, weight, admittedAtMs));
  }

  /**
   * Takes back what Redis granted to these requests, and tells it what it had counted under the keys it has lost.
   * @throws RedisUnavailable when Redis did not take it; the keys stay lost
   */
  async remind(requests: readonly MisjudgedRequest[], withinMs: number): Promise<void> {
    const now = this.clock.now();
    const refunds = requests.flatMap(({ rule, keys, weight, decision: { allowed, decidedAtMs } }) =>
      allowed && decidedAtMs !== undefined && weight > 0 ? refundsOf(rule, keys, weight, decidedAtMs) : [],
    );
    const lost = new Map<LimitKey, Amendment>();
    for (const { rule, keys } of requests) {
      rule.parts.forEach(({ limit }, index) => {
        const key = keys[index];
        if (key?.isLost) lost.set(key, { key, words: this.toldOf(key, limit, now) });
      });
    }
    const { memory } = this.watch;
    await this.send([...refunds, ...lost.values()], withinMs);
    for (const key of lost.keys()) {
      key.isLost = false;
      key.memory = memory;
    }
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
        const { memory } = this.watch;
        try {
          const atMs = await this.send(part.flatMap((use) => this.settlementOf(use, memory, now)));
          for (const use of part) noteSettled(use, memory, now, atMs);
        } catch (error) {
          this.local.restore(uses);
          throw error;
        }
        uses = uses.slice(mostInCall);
      }
    }
  }

  /** Where Redis forgot what it had counted itself, that comes first. */
  private settlementOf({ key, limit, state }: LocalUse, memory: number, now: number): Amendment[] {
    const isForgotten = key.isLost || (key.countsUntilMs > 0 && key.memory !== memory);
    const granted = state.settlement(now);
    return [...(isForgotten ? [this.toldOf(key, limit, now)] : []), ...(granted ? [granted] : [])].map((words) => ({
      key,
      words,
    }));
  }

  /** Of a window, each process tells what was granted to itself; of a day, what was used on all nodes when it last heard. */
  private toldOf(key: LimitKey, limit: Limit, now: number): AmendmentWords {
    if (limit.kind === 'plan') return ['tell-plan', key.used, Math.max(0, now - key.usedAt)];
    return ['tell-window', limit.requests, limit.windowMs, unitMs(limit), key.granted, this.watch.node];
  }

  private readonly flush = (): void => {
    const all = this.pending;
    this.pending = [];
    for (let at = 0; at < all.length; at += mostInCall) {
      // These refunds are lost to their callers; the watch says once that Redis is away.
      this.send(all.slice(at, at + mostInCall)).catch((error: unknown) => this.watch.distrust(error));
    }
  };

  /** Answers the time by Redis' clock. */
  private async send(all: readonly Amendment[], withinMs = deadlineMs): Promise<number> {
    let atMs = 0;
    const groups = this.watch.isCluster ? byTag(all, ({ key }) => key.tag) : [all];
    for (const group of groups) {
      if (group.length === 0) continue;
      const keys = group.map(({ key }) => key.name);
      const words = JSON.stringify(group.map((amendment, index) => [index, ...amendment.words]));
      atMs = (await callScript(this.redis, amendScript, keys, [words, this.redisMicros()], withinMs)) as number;
    }
    return atMs;
  }
}

function refundsOf(rule: Rule, keys: readonly LimitKey[], weight: number, admittedAtMs: number): Amendment[] {
  return rule.parts.flatMap(({ limit }, index) => {
    const key = keys[index];
    if (key === undefined) return [];
    const words =
      limit.kind === 'window'
        ? ['refund-window', Math.min(weight, limit.requests), admittedAtMs, limit.windowMs]
        : ['refund-plan', weight, admittedAtMs, costMicros(limit, weight)];
    return [{ key, words }];
  });
}

/** From now on Redis can lose that, too. */
function noteSettled({ key, limit, state }: LocalUse, memory: number, now: number, atMs: number): void {
  key.memory = memory;
  key.isLost = false;
  const words = state.settlement(now);
  if (words === undefined) return;
  if (limit.kind === 'window') {
    for (const age of state.ages(now)) key.noteGrants(atMs - age, 1, limit.windowMs);
  } else {
    const isSameDay = Math.floor(key.usedAt / msPerDay) === Math.floor(now / msPerDay);
    key.used = (isSameDay ? key.used : 0) + state.granted;
    key.usedAt = now;
    key.countsUntilMs = (Math.floor(atMs / msPerDay) + 1) * msPerDay;
  }
}

function costMicros({ burstRequests, requestsPerSecond }: PlanLimit, weight: number): number {
  if (burstRequests === undefined || requestsPerSecond === undefined) return 0;
  return Math.min(weight, burstRequests) * tokenMicros(requestsPerSecond);
}
