import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { Clock } from '../../platform/config';
import { Log, Metrics } from '../../platform/telemetry';
import { KeySource } from './key-source';
import { type PinnedKey, pinnedKeyOf, UnusableKey } from './pinned-key';
import { KeysUnavailable } from './refusals';

/** How long an unseen `kid` causes no further fetch, in milliseconds. */
const unseenCooldownMs = 30_000;
/** The same after a fetch that failed: the issuer may be back any moment. */
const failedCooldownMs = 1_000;
const refreshPeriodMs = 600_000;
const retryPeriodMs = 5_000;

/**
 * The issuer's keys by `kid`. An unseen one fetches the set again, once for all who wait; the new set replaces the old,
 * so a key that was taken out verifies nothing any more. While the issuer is away the last known set stays.
 */
@Injectable()
export class KeySet implements OnModuleInit, OnApplicationShutdown {
  private keys: ReadonlyMap<string, PinnedKey> = new Map();
  private fetching: Promise<void> | undefined;
  private lastFetchFailed = true;
  private lastUnseenAt = -Infinity;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private readonly listeners: (() => void)[] = [];
  private readonly fetches: Counter<'outcome'>;

  constructor(
    private readonly source: KeySource,
    private readonly clock: Clock,
    private readonly log: Log,
    metrics: Metrics,
  ) {
    this.fetches = metrics.counter('authoriser_key_fetches_total', 'Fetches of the issuer’s keys', ['outcome']);
    metrics.gauge('authoriser_keys', 'Keys of the issuer that are accepted now', [], () => this.keys.size);
  }

  async onModuleInit(): Promise<void> {
    await this.refresh();
    this.schedule();
  }

  onApplicationShutdown(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  /** Whether tokens of that `iss` are accepted. */
  accepts(issuer: string): boolean {
    return this.source.accepts(issuer);
  }

  /**
   * The key of that `kid`; `undefined` when the issuer has none.
   * @throws KeysUnavailable when it is not known and the issuer cannot be asked
   */
  async find(id: string): Promise<PinnedKey | undefined> {
    if (!this.keys.has(id)) await this.fetching; // it may bring the key; if it began too early, the next one does
    if (!this.keys.has(id)) {
      if (this.mayFetch()) {
        this.lastUnseenAt = this.clock.now();
        void this.refresh();
      }
      await this.fetching;
    }
    const found = this.keys.get(id);
    if (!found && this.lastFetchFailed) throw new KeysUnavailable();
    return found;
  }

  /** Whether this very key is still in the set. */
  isCurrent(key: PinnedKey): boolean {
    return this.keys.get(key.id) === key;
  }

  /** Calls `listener` after each replacement of the set. */
  onReplaced(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Fetches the set now, or waits for the fetch that runs. A failure is logged and keeps the old set. */
  refresh(): Promise<void> {
    this.fetching ??= this.fetch().finally(() => (this.fetching = undefined));
    return this.fetching;
  }

  private mayFetch(): boolean {
    const cooldown = this.lastFetchFailed ? failedCooldownMs : unseenCooldownMs;
    return Math.abs(this.clock.now() - this.lastUnseenAt) >= cooldown;
  }

  private async fetch(): Promise<void> {
    try {
      this.replace(await this.source.load());
      this.lastFetchFailed = false;
      this.fetches.inc({ outcome: 'success' });
    } catch (error) {
      this.lastFetchFailed = true;
      this.fetches.inc({ outcome: 'failure' });
      this.log.error({ err: error, keysKept: this.keys.size }, 'The keys of the issuer could not be fetched');
    }
  }

  private replace(jwks: readonly unknown[]): void {
    const next = new Map<string, PinnedKey>();
    for (const jwk of jwks) {
      try {
        const key = pinnedKeyOf(jwk);
        if (next.has(key.id)) throw new UnusableKey('its kid is taken by another');
        const former = this.keys.get(key.id);
        next.set(key.id, former?.fingerprint === key.fingerprint ? former : key);
      } catch (error) {
        if (!(error instanceof UnusableKey)) throw error;
        this.log.warn({ reason: error.message }, 'A key of the issuer is not used');
      }
    }
    if (next.size === 0) this.log.warn({}, 'The issuer publishes no key that can be used: every token is refused');
    this.keys = next;
    for (const listener of this.listeners) listener();
  }

  private schedule(): void {
    if (this.stopped) return;
    const period = this.lastFetchFailed ? retryPeriodMs : refreshPeriodMs;
    this.timer = setTimeout(() => void this.refresh().then(() => this.schedule()), period);
    this.timer.unref();
  }
}
