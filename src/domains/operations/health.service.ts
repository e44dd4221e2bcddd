import { Injectable } from '@nestjs/common';
import { Clock } from '../../platform/config';
import { DatabaseUnavailable, statement, UnitOfWork } from '../../platform/database';
import { OutboxHealth } from '../../platform/outbox';
import { Redis } from '../../platform/redis';
import type { ReadinessView } from './health.controller';

/** How long an answer stands: strangers may ask as often as they like, and a connection is spent once. */
const answerStandsMs = 1_000;

/**
 * A Redis this late is told as away. Limits give it up far sooner and have their own gauge: a process that was busy for a
 * moment says nothing of Redis. Below the second after which orchestrators give up a probe.
 */
const redisAwayAfterMs = 500;

const ping = statement('operations.ping', 'SELECT');

@Injectable()
export class HealthService {
  private last: Promise<ReadinessView> | undefined;
  private askedAt = 0;

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly redis: Redis,
    private readonly outbox: OutboxHealth,
    private readonly clock: Clock,
  ) {}

  /**
   * Ready while Postgres answers. Redis is speed, not truth: without it, or without the queues, the state is `degraded` and
   * still ready, or one lost Redis would take every node out of service.
   * @throws DatabaseUnavailable (503) when Postgres does not answer
   */
  readiness(): Promise<ReadinessView> {
    const now = this.clock.now();
    if (!this.last || Math.abs(now - this.askedAt) > answerStandsMs) {
      this.askedAt = now;
      this.last = this.ask();
    }
    return this.last;
  }

  private async ask(): Promise<ReadinessView> {
    try {
      await this.unitOfWork.run(() => this.unitOfWork.query(ping));
    } catch (error) {
      throw new DatabaseUnavailable(error);
    }
    const redis = await this.redis
      .ask((commands) => commands.ping(), redisAwayAfterMs)
      .then(
        () => true,
        () => false,
      );
    // A process that runs no queues depends on them for nothing: for it they are where Redis is.
    const queues = this.outbox.isWell ?? redis;
    const status = redis && queues ? 'ok' : 'degraded';
    return { status, postgres: 'up', redis: redis ? 'up' : 'down', queues: queues ? 'up' : 'down' };
  }
}
