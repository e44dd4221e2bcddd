import { type LimitReport, type PlanLimit, type ReportSubject, tokenMicros } from './limits';
import { type AmendmentWords, type LocalState, shareOf } from './local-state';

const msPerDay = 86_400_000;

/** This node's share of a plan: a bucket and a day's count. */
export class LocalPlan implements LocalState {
  /** When the bucket is full again. */
  private fullAt = 0;
  private day: number;
  private usedHere: number;
  /** How much of `usedHere` Redis knows already. */
  private known: number;
  private costMs = 0;
  private weight = 0;

  /** @param used requests of the day when Redis last told, at `usedAt` */
  constructor(
    private readonly limit: PlanLimit,
    private readonly nodes: number,
    used: number,
    usedAt: number,
  ) {
    this.day = Math.floor(usedAt / msPerDay);
    this.usedHere = this.known = Math.ceil(used / nodes);
  }

  used(now: number): number {
    this.beginDay(now);
    return this.usedHere * this.nodes;
  }

  usedAt(now: number): number {
    return now;
  }

  get granted(): number {
    return this.usedHere - this.known;
  }

  ages(): readonly number[] {
    return [];
  }

  judge(subjects: readonly ReportSubject[], weight: number, now: number): LimitReport[] {
    this.beginDay(now);
    this.weight = weight;
    this.costMs = 0;
    return subjects.map((subject) =>
      subject.name === this.limit.name ? this.rate(subject, now) : this.quota(subject, now),
    );
  }

  consume(): void {
    this.fullAt += this.costMs;
    this.usedHere += this.weight;
  }

  refund(weight: number): void {
    this.fullAt -= Math.min(weight, this.burst) * this.tokenMs;
    this.usedHere = Math.max(this.known, this.usedHere - weight);
  }

  add(other: LocalState): void {
    if (!(other instanceof LocalPlan)) return;
    this.usedHere += other.usedHere - other.known;
    this.fullAt = Math.max(this.fullAt, other.fullAt);
  }

  settlement(now: number): AmendmentWords | undefined {
    this.beginDay(now);
    const used = this.granted;
    if (used === 0 && this.fullAt <= now) return undefined;
    const { requestsPerSecond, burstRequests = 0 } = this.limit;
    const micros = requestsPerSecond === undefined ? 0 : tokenMicros(requestsPerSecond);
    const owedTokens = micros === 0 ? 0 : Math.max(0, this.fullAt - now) / this.tokenMs;
    return ['settle-plan', Math.ceil(owedTokens * micros), micros * burstRequests, used];
  }

  /** Yesterday's requests are not today's. */
  private beginDay(now: number): void {
    const day = Math.floor(now / msPerDay);
    if (this.day < day) this.usedHere = this.known = 0;
    this.day = day;
  }

  private get burst(): number {
    return shareOf(this.limit.burstRequests ?? 0, this.nodes);
  }

  /** How long one token takes to come back; each node has its part of the rate. */
  private get tokenMs(): number {
    const { requestsPerSecond } = this.limit;
    return requestsPerSecond === undefined ? 0 : (tokenMicros(requestsPerSecond) / 1000) * this.nodes;
  }

  private rate(subject: ReportSubject, now: number): LimitReport {
    const { burst, tokenMs } = this;
    const wholeMs = burst * tokenMs;
    this.fullAt = Math.min(Math.max(this.fullAt, now), now + wholeMs);
    this.costMs = Math.min(this.weight, burst) * tokenMs;
    const roomMs = now + wholeMs - this.fullAt;
    const allowed = this.costMs <= roomMs;
    const retryAfterMs = allowed ? 0 : Math.ceil(this.costMs - roomMs);
    const resetMs = allowed ? Math.ceil(this.fullAt + this.costMs - now) : retryAfterMs;
    return { subject, allowed, remaining: Math.floor(roomMs / tokenMs), resetMs, retryAfterMs };
  }

  private quota(subject: ReportSubject, now: number): LimitReport {
    const remaining = Math.max(0, shareOf(subject.quota, this.nodes) - this.usedHere);
    const resetMs = (this.day + 1) * msPerDay - now;
    const allowed = this.weight <= remaining;
    return { subject, allowed, remaining, resetMs, retryAfterMs: allowed ? 0 : resetMs };
  }
}
