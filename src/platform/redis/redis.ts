import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import IORedis, { type Redis as Connection, type RedisOptions } from 'ioredis';
import { Config } from '../config';
import { Log, Metrics } from '../telemetry';

/** Redis did not answer within the deadline, or is away. Redis is speed, not truth: the caller goes on without it. */
export class RedisUnavailable extends Error {
  constructor(cause: unknown) {
    super('Redis is unavailable', { cause });
  }
}

/** Commands with a deadline and no offline queue, so that a lost Redis costs milliseconds, not a hung request. */
@Injectable()
export class Redis implements OnApplicationShutdown {
  /** The connection for commands. Its rejections are the driver's; use `ask` where a deadline matters. */
  readonly commands: Connection;
  private readonly opened: Connection[] = [];
  private readonly deadlineMs: number;
  private readonly url: string;

  constructor(
    config: Config,
    private readonly log: Log,
    metrics: Metrics,
  ) {
    const url = config.get('REDIS_URL');
    if (url === undefined) throw new Error('No REDIS_URL: the embedded Redis was not started');
    this.url = url;
    this.deadlineMs = config.get('REDIS_DEADLINE_MS');
    this.commands = this.open({ enableOfflineQueue: false, maxRetriesPerRequest: 0 });
    metrics.gauge('redis_up', '1 while the connection to Redis is ready', [], () => Number(this.isReady));
  }

  get isReady(): boolean {
    return this.commands.status === 'ready';
  }

  /**
   * Awaits the answer of a command for no longer than the deadline.
   * @throws RedisUnavailable when it is late, refused, or the connection is away
   */
  async ask<Answer>(
    command: (redis: Connection) => Promise<Answer>,
    deadlineMs: number = this.deadlineMs,
  ): Promise<Answer> {
    if (!this.isReady) throw new RedisUnavailable(`status ${this.commands.status}`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new RedisUnavailable(`no answer in ${deadlineMs} ms`)), deadlineMs);
    });
    try {
      return await Promise.race([command(this.commands), late]);
    } catch (error) {
      throw error instanceof RedisUnavailable ? error : new RedisUnavailable(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** A further connection (a subscriber, a queue's blocking client); closed with the application. */
  open(options: RedisOptions = {}): Connection {
    const connection = new IORedis(this.url, {
      retryStrategy: (attempt) => Math.min(50 * attempt, 1_000),
      reconnectOnError: () => false,
      connectTimeout: 2_000,
      ...options,
    });
    let lastMessage = '';
    connection.on('error', (error: Error) => {
      if (error.message !== lastMessage) this.log.warn({ err: error }, 'The connection to Redis failed');
      lastMessage = error.message;
    });
    connection.on('ready', () => (lastMessage = ''));
    this.opened.push(connection);
    return connection;
  }

  onApplicationShutdown(): void {
    for (const connection of this.opened) connection.disconnect();
  }
}
