import type { Amendments, MisjudgedRequest } from './amendments';
import type { Clock } from '../../platform/config';
import type { Redis } from '../../platform/redis';
import { decideScript } from './limit-scripts';
import { byTag, type LimitKey } from './limit-keys';
import type { LimitReport, Rule } from './limits';
import type { Decision } from './limit-store';
import type { LocalLimits } from './local-limits';
import type { RedisWatch } from './redis-watch';
import { callScript } from './script-caller';

/**
 * Small enough that Redis decides one call while this process reads the answers of the one before; large enough that the
 * cost of a call is shared. At 64 in flight, 16 gave 1.5 × the decisions of 64.
 */
const mostInBatch = 16;
const msPerDay = 86_400_000;

interface Pending {
  readonly rule: Rule;
  readonly keys: readonly LimitKey[];
  readonly weight: number;
  /** Redis was reminded for this request already. */
  readonly isSecond: boolean;
  readonly resolve: (decision: Decision | Promise<Decision>) => void;
}

/**
 * Collects the decisions of one turn of the event loop into one call. Each is still decided alone and atomically, one
 * after the other; on a Redis Cluster only those of one slot share a call.
 */
export class DecisionBatches {
  private pending: Pending[] = [];

  constructor(
    private readonly redis: Redis,
    private readonly deadlineMs: number,
    private readonly watch: RedisWatch,
    private readonly local: LocalLimits,
    private readonly amendments: Amendments,
    private readonly clock: Clock,
    private readonly redisMicros: () => number,
  ) {}

  decide(rule: Rule, keys: readonly LimitKey[], weight: number, isSecond = false): Promise<Decision> {
    return new Promise((resolve) => {
      if (this.pending.length === 0) setImmediate(this.flush);
      this.pending.push({ rule, keys, weight, isSecond, resolve });
    });
  }

  private readonly flush = (): void => {
    const all = this.pending;
    this.pending = [];
    if (this.watch.isCluster) {
      for (const group of byTag(all, ({ keys }) => keys[0]?.tag ?? '')) this.sendInParts(group);
    } else {
      this.sendInParts(all);
    }
  };

  private sendInParts(all: Pending[]): void {
    if (all.length <= mostInBatch) void this.send(all);
    else for (let at = 0; at < all.length; at += mostInBatch) void this.send(all.slice(at, at + mostInBatch));
  }

  private async send(batch: readonly Pending[]): Promise<void> {
    const { keys, wire } = encoded(batch);
    const sentAt = this.clock.now();
    let answer: number[];
    try {
      const values = [wire, this.redisMicros()];
      answer = (await callScript(this.redis, decideScript, keys, values, this.deadlineMs)) as number[];
    } catch (error) {
      this.watch.distrust(error);
      for (const { rule, keys: own, weight, resolve } of batch) resolve(this.local.decide(rule, own, weight));
      return;
    }
    const receivedAt = this.clock.now();
    const { memory } = this.watch;
    const [decidedAtMs = 0] = answer;
    followClock(batch, decidedAtMs);
    const someAreLost = markLost(batch, decidedAtMs, memory, missingOf(batch, keys, answer));
    let misjudged: (MisjudgedRequest & Pending)[] | undefined;
    let at = 1;
    for (const request of batch) {
      const decision = decisionOf(request.rule, answer, at, decidedAtMs);
      at += request.rule.subjects.length * 2;
      if (someAreLost && request.keys.some((key) => key.isLost)) {
        (misjudged ??= []).push({ ...request, decision });
        continue;
      }
      noteUse(request, decision, decidedAtMs, receivedAt, memory);
      if (!decision.allowed) remember(request, decision, sentAt, receivedAt);
      request.resolve(decision);
    }
    if (misjudged) await this.decideAgain(misjudged);
  }

  /** Redis has lost what it had counted (it was emptied, restarted, or had no room): it is told, and asked again. */
  private async decideAgain(misjudged: readonly (MisjudgedRequest & Pending)[]): Promise<void> {
    this.watch.countForgotten(misjudged.length);
    try {
      await this.amendments.remind(misjudged, this.deadlineMs);
      if (misjudged.some(({ isSecond }) => isSecond)) this.watch.distrust(new Error('Redis loses what it counts'));
    } catch (error) {
      this.watch.distrust(error);
    }
    for (const { rule, keys, weight, resolve } of misjudged)
      resolve(this.watch.isTrusted ? this.decide(rule, keys, weight, true) : this.local.decide(rule, keys, weight));
  }
}

/** The keys that Redis did not have. */
function missingOf(
  batch: readonly Pending[],
  keys: readonly string[],
  answer: readonly number[],
): Set<string> | undefined {
  let at = 1;
  for (const { rule } of batch) at += rule.subjects.length * 2;
  if (at === answer.length) return undefined;
  return new Set(answer.slice(at).map((index) => keys[index] ?? ''));
}

/** What this process knows of later times than there can be is from before Redis' clock went back. */
function followClock(batch: readonly Pending[], decidedAtMs: number): void {
  const today = endOfDay(decidedAtMs);
  for (const { rule, keys } of batch)
    for (let index = 0; index < keys.length; index += 1) {
      const key = keys[index];
      const limit = rule.parts[index]?.limit;
      if (key === undefined || limit === undefined) continue;
      const latestMs = limit.kind === 'plan' ? today : decidedAtMs + limit.windowMs;
      if (key.countsUntilMs > latestMs) key.pullBack(decidedAtMs, latestMs);
    }
}

/**
 * Marks the keys that Redis must have had, for all that it granted to this process, and had not; tells whether there are any,
 * those included that were found out while this answer was on its way.
 */
function markLost(
  batch: readonly Pending[],
  decidedAtMs: number,
  memory: number,
  missing: ReadonlySet<string> | undefined,
): boolean {
  let some = false;
  for (const { keys } of batch)
    for (const key of keys) {
      if (key.countsUntilMs > decidedAtMs && (key.memory !== memory || missing?.has(key.name))) key.isLost = true;
      some ||= key.isLost;
    }
  return some;
}

/** The calls of a batch, in which each key and each rule is named once. */
function encoded(batch: readonly Pending[]): { keys: string[]; wire: string } {
  const keys: string[] = [];
  const keyAt = new Map<string, number>();
  const rules = new Map<Rule, number>();
  let rulesWire = '';
  let calls = '';
  for (const request of batch) {
    let rule = rules.get(request.rule);
    if (rule === undefined) {
      rule = rules.size;
      rules.set(request.rule, rule);
      rulesWire += rule === 0 ? request.rule.wire : `,${request.rule.wire}`;
    }
    calls += calls === '' ? `${rule},${request.weight}` : `,${rule},${request.weight}`;
    for (const { name } of request.keys) {
      let at = keyAt.get(name);
      if (at === undefined) {
        at = keys.length;
        keyAt.set(name, at);
        keys.push(name);
      }
      calls += `,${at}`;
    }
  }
  return { keys, wire: `[[${rulesWire}],[${calls}]]` };
}

function decisionOf(rule: Rule, answer: readonly number[], from: number, decidedAtMs: number): Decision {
  const reports: LimitReport[] = [];
  let at = from;
  let longest = 0;
  let allowed = true;
  for (const subject of rule.subjects) {
    const left = answer[at] ?? 0;
    const wait = answer[at + 1] ?? 0;
    at += 2;
    if (left >= 0) {
      reports.push({ subject, allowed: true, remaining: left, resetMs: wait, retryAfterMs: 0 });
    } else {
      allowed = false;
      if (wait > longest) longest = wait;
      reports.push({ subject, allowed: false, remaining: -1 - left, resetMs: wait, retryAfterMs: wait });
    }
  }
  return { allowed, reports, retryAfterMs: longest, decidedAtMs };
}

/** Where Redis is lost next, the process goes on from here. */
function noteUse(
  { rule, keys, weight }: Pending,
  { allowed, reports }: Decision,
  decidedAtMs: number,
  now: number,
  memory: number,
): void {
  const consumed = allowed && weight > 0;
  rule.parts.forEach(({ limit, from, subjects }, index) => {
    // Of a plan, the last is the day's quota; a bucket is full again before one would notice.
    const report = reports[from + subjects.length - 1];
    const key = keys[index];
    if (report === undefined || key === undefined || subjects.length === 0) return;
    key.used = report.subject.quota - report.remaining;
    key.usedAt = now;
    key.assumed = undefined;
    key.memory = memory;
    if (!consumed) return;
    if (limit.kind === 'plan') key.countsUntilMs = endOfDay(decidedAtMs);
    else key.noteGrants(decidedAtMs, Math.min(weight, limit.requests), limit.windowMs);
    // A heavier request that was refused before waits longer now.
    key.denial = undefined;
  });
}

function endOfDay(ms: number): number {
  return (Math.floor(ms / msPerDay) + 1) * msPerDay;
}

function remember({ rule, keys, weight }: Pending, { reports }: Decision, sentAt: number, receivedAt: number): void {
  rule.parts.forEach(({ limit, from, subjects }, index) => {
    const own = reports.slice(from, from + subjects.length);
    const waitMs = Math.max(0, ...own.map(({ retryAfterMs }) => retryAfterMs));
    const key = keys[index];
    if (waitMs > 0 && key) key.denial = { limit, reports: own, weight, sentAt, receivedAt, until: sentAt + waitMs };
  });
}
