import { randomInt } from 'node:crypto';

/** What an address that has used up its share must wait, in milliseconds; 0 lets the request through. */
export type WaitMilliseconds = number;

/** Addresses remembered one by one; about 10 MB when full. */
const exactAddresses = 65_536;
/** Buckets that newcomers share while `exactAddresses` others are in debt. */
const sharedBuckets = 4_096;
/** Old entries looked at for each new one: more than one, so that the table shrinks under a flood of addresses. */
const sweptPerNewcomer = 4;

/**
 * A token bucket for each address, as one number: the time at which the bucket would be full again (GCRA, ITU-T I.371).
 *
 * Memory is bounded, and no flood of addresses frees a limited one: an entry is dropped only once its bucket is full,
 * when forgetting it changes nothing. Where every entry still owes, newcomers share buckets, chosen by a hash whose
 * seed is this process's secret, and are limited together. To get there, a client needs `exactAddresses` addresses
 * that each keep sending faster than they are refilled.
 */
export class AddressLimit {
  private readonly fullAt = new Map<string, number>();
  private readonly shared = new Float64Array(sharedBuckets);
  private readonly seed = randomInt(2 ** 31);
  private readonly intervalMs: number;
  private readonly burstMs: number;
  private sweep: MapIterator<[string, number]>;

  /** @param burst requests of one address at once, at least 1 */
  constructor(
    perSecond: number,
    burst: number,
    private readonly capacity = exactAddresses,
  ) {
    this.intervalMs = 1000 / perSecond;
    // Half a request of slack: sums of a fraction of a millisecond onto an epoch time are rounded.
    this.burstMs = this.intervalMs * (burst + 0.5);
    this.sweep = this.fullAt.entries();
  }

  /** Addresses remembered one by one. */
  get size(): number {
    return this.fullAt.size;
  }

  /** Takes a token of the address's bucket, if it has one. A refused request costs the address nothing. */
  take(key: string, nowMs: number): WaitMilliseconds {
    const known = this.fullAt.get(key);
    if (known !== undefined) {
      const { fullAt, waitMs } = this.judged(known, nowMs);
      if (fullAt !== known) this.fullAt.set(key, fullAt);
      return waitMs;
    }
    this.forgetFull(nowMs);
    if (this.fullAt.size < this.capacity) {
      this.fullAt.set(key, nowMs + this.intervalMs);
      return 0;
    }
    const cell = this.cellOf(key);
    const { fullAt, waitMs } = this.judged(this.shared[cell] ?? 0, nowMs);
    this.shared[cell] = fullAt;
    return waitMs;
  }

  /**
   * The bucket after one more request. A clock that was set back must not lock anyone out: no bucket owes more than it holds,
   * and that is kept where the request is refused, too; else each refusal would begin the wait anew.
   */
  private judged(known: number, nowMs: number): { fullAt: number; waitMs: WaitMilliseconds } {
    const owed = Math.min(Math.max(known, nowMs), nowMs + this.burstMs);
    const waitMs = owed + this.intervalMs - nowMs - this.burstMs;
    return waitMs > 0 ? { fullAt: owed, waitMs } : { fullAt: owed + this.intervalMs, waitMs: 0 };
  }

  private forgetFull(nowMs: number): void {
    for (let step = 0; step < sweptPerNewcomer; step++) {
      const { done, value } = this.sweep.next();
      if (done) {
        this.sweep = this.fullAt.entries();
        return;
      }
      if (value[1] <= nowMs) this.fullAt.delete(value[0]);
    }
  }

  private cellOf(key: string): number {
    let hash = this.seed;
    for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
    return (hash >>> 8) % sharedBuckets;
  }
}
