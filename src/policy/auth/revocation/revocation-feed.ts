import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Clock } from '../../../platform/config';
import { Redis, RedisUnavailable } from '../../../platform/redis';
import { Log, Metrics } from '../../../platform/telemetry';
import { RevocationList } from './revocation-list';
import { RevocationsStore, wholePast } from './revocations.store';

const channel = 'gatehouse:revocations';
const pollPeriodMs = 500;
/** What revocation promises: on every node within this time. */
const promisedMs = 1_000;
const purgePeriodMs = 600_000;

/**
 * Brings the revocations of every node to this one within a second. Postgres is asked every 500 ms; a message over Redis
 * says nothing but "ask now", so one that is lost, late or forged changes only when it is asked.
 */
@Injectable()
export class RevocationFeed implements OnModuleInit, OnApplicationShutdown {
  private horizon = wholePast;
  private readAt: number;
  private isPolling = false;
  private isWoken = false;
  private isStale = false;
  private stopped = false;
  private readonly timers: NodeJS.Timeout[] = [];

  constructor(
    private readonly store: RevocationsStore,
    private readonly list: RevocationList,
    private readonly redis: Redis,
    private readonly clock: Clock,
    private readonly log: Log,
    metrics: Metrics,
  ) {
    this.readAt = clock.now();
    metrics.gauge('revocations_stale_seconds', 'Time since the revocations were read from Postgres', [], () =>
      Math.max(0, (this.clock.now() - this.readAt) / 1000),
    );
  }

  /** @throws when the revocations cannot be read: without them this process must not serve */
  async onModuleInit(): Promise<void> {
    await this.read();
    this.every(pollPeriodMs, () => this.poll());
    this.every(purgePeriodMs, () => this.purge());
    const subscriber = this.redis.open({ maxRetriesPerRequest: null });
    subscriber.on('message', () => this.poll());
    subscriber.subscribe(channel).catch((error: unknown) => {
      if (!this.stopped) this.log.warn({ err: error }, 'Revocations are not announced here, only polled');
    });
  }

  onApplicationShutdown(): void {
    this.stopped = true;
    for (const timer of this.timers) clearInterval(timer);
  }

  /** Tells the other nodes to read now. When Redis is away they do so within the period of their polls. */
  async announce(): Promise<void> {
    try {
      await this.redis.ask((redis) => redis.publish(channel, ''));
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error;
      this.log.warn({ err: error }, 'A revocation was not announced: the other nodes see it at their next poll');
    }
  }

  private poll(): void {
    this.watch();
    if (this.isPolling) {
      this.isWoken = true;
      return;
    }
    this.isPolling = true;
    this.read()
      .catch((error: unknown) => {
        if (!this.stopped) this.log.debug({ err: error }, 'The revocations could not be read');
      })
      .finally(() => {
        this.isPolling = false;
        if (!this.isWoken || this.stopped) return;
        this.isWoken = false;
        this.poll();
      });
  }

  private async read(): Promise<void> {
    const startedAt = this.clock.now();
    const { revocations, horizon } = await this.store.since(this.horizon, new Date(startedAt));
    for (const revocation of revocations) this.list.add(revocation);
    this.horizon = horizon;
    this.readAt = startedAt;
    this.watch();
  }

  /** Says it once when the promise is broken, and once when it holds again. */
  private watch(): void {
    const staleMs = this.clock.now() - this.readAt;
    const isStale = staleMs > promisedMs;
    if (isStale === this.isStale) return;
    this.isStale = isStale;
    if (isStale) this.log.error({ staleMs }, 'Revocations are stale: Postgres cannot be read');
    else this.log.info({}, 'Revocations are read again');
  }

  private purge(): void {
    const now = this.clock.now();
    this.list.purge(now);
    this.store
      .purge(new Date(now))
      .catch((error: unknown) => this.log.warn({ err: error }, 'Expired revocations could not be deleted'));
  }

  private every(periodMs: number, action: () => void): void {
    this.timers.push(setInterval(action, periodMs).unref());
  }
}
