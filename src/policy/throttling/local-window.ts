import { type LimitReport, type ReportSubject, unitMs, type WindowLimit } from './limits';
import { type AmendmentWords, type LocalState, shareOf } from './local-state';

/** This node's share of a window, as a log. */
export class LocalWindow implements LocalState {
  private times: number[];
  /** How many of the oldest Redis knows already. */
  private known: number;
  private readonly share: number;
  private cost = 0;

  /** @param used requests in the window when Redis last told, at `usedAt` */
  constructor(
    private readonly limit: WindowLimit,
    private readonly nodes: number,
    used: number,
    usedAt: number,
  ) {
    this.share = shareOf(limit.requests, nodes);
    this.known = Math.min(this.share, Math.ceil((used * this.share) / limit.requests));
    this.times = Array.from({ length: this.known }, () => usedAt);
  }

  used(now: number): number {
    this.forget(now);
    return this.times.length * this.nodes;
  }

  usedAt(now: number): number {
    return this.times.at(-1) ?? now;
  }

  get granted(): number {
    return this.times.length - this.known;
  }

  ages(now: number): readonly number[] {
    const { windowMs } = this.limit;
    const granted = this.times.slice(this.known);
    return granted.map((time) => Math.max(0, now - time)).filter((age) => age < windowMs);
  }

  judge(subjects: readonly ReportSubject[], weight: number, now: number): LimitReport[] {
    this.forget(now);
    const { times, share } = this;
    this.cost = Math.min(weight, share);
    const remaining = Math.max(0, share - times.length);
    const allowed = this.cost <= remaining;
    const leaving = times[allowed ? 0 : this.cost - remaining - 1] ?? now;
    const resetMs = leaving + this.limit.windowMs - now;
    return subjects.map((subject) => ({ subject, allowed, remaining, resetMs, retryAfterMs: allowed ? 0 : resetMs }));
  }

  consume(now: number): void {
    for (let request = 0; request < this.cost; request += 1) this.times.push(now);
  }

  refund(weight: number): void {
    this.times.splice(Math.max(this.known, this.times.length - Math.min(weight, this.share)));
  }

  add(other: LocalState): void {
    if (other instanceof LocalWindow) this.times.push(...other.times.slice(other.known));
  }

  settlement(now: number): AmendmentWords | undefined {
    const { requests, windowMs } = this.limit;
    const ages = this.ages(now);
    return ages.length === 0 ? undefined : ['settle-window', requests, windowMs, unitMs(this.limit), ages];
  }

  private forget(now: number): void {
    const newest = this.times.at(-1) ?? now;
    if (newest > now) this.times = this.times.map((time) => time - (newest - now)); // the clock went back
    const kept = this.times.filter((time) => time + this.limit.windowMs > now);
    this.known = Math.max(0, this.known - (this.times.length - kept.length));
    this.times = kept;
  }
}
