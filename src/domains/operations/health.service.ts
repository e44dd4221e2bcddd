import { Injectable } from '@nestjs/common';
import { DatabaseUnavailable, statement, UnitOfWork } from '../../platform/database';
import { Redis } from '../../platform/redis';
import type { ReadinessView } from './health.controller';

const ping = statement('operations.ping', 'SELECT');

@Injectable()
export class HealthService {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly redis: Redis,
  ) {}

  /**
   * Ready while Postgres answers. Redis is speed, not truth: without it the state is `degraded` and still ready, or one
   * lost Redis would take every node out of service.
   * @throws DatabaseUnavailable (503) when Postgres does not answer
   */
  async readiness(): Promise<ReadinessView> {
    try {
      await this.unitOfWork.run(() => this.unitOfWork.query(ping));
    } catch (error) {
      throw new DatabaseUnavailable(error);
    }
    const redis = await this.redis
      .ask((commands) => commands.ping())
      .then(
        () => 'up',
        () => 'down',
      );
    return { status: redis === 'up' ? 'ok' : 'degraded', postgres: 'up', redis, queues: redis };
  }
}
