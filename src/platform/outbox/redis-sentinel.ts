import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Clock, Config } from '../config';
import { statement } from '../database';
import { SystemDatabase } from '../database/system';
import { Redis, RedisUnavailable } from '../redis';
import { Log } from '../telemetry';
import { Loop, type Turn } from './loop';
import { OutboxWake } from './outbox-wake';

const key = 'gatehouse:outbox:sentinel';
const checkMs = 1_000;
const answerDeadlineMs = 1_000;

/** All that should be on a queue and has not begun: as many as the queues may hold, whatever the backlog. */
const drawAgain = statement<{ count: number }>(
  'outbox.draw-again',
  `WITH again AS (
     UPDATE event_deliveries SET draw_at = now() WHERE draw_at IS NOT NULL AND published_at IS NOT NULL RETURNING 1
   ) SELECT count(*)::int AS count FROM again`,
);

/** Notices that Redis lost what it held (a flush, a restart without its data): a key of ours is gone. */
@Injectable()
export class RedisSentinel implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly loop: Loop;

  constructor(
    private readonly config: Config,
    private readonly redis: Redis,
    private readonly system: SystemDatabase,
    private readonly wake: OutboxWake,
    private readonly log: Log,
    clock: Clock,
  ) {
    this.loop = new Loop('redis-sentinel', () => this.look(), log, clock, checkMs);
  }

  onApplicationBootstrap(): void {
    if (this.config.runsQueues) this.loop.start();
  }

  onModuleDestroy(): Promise<void> {
    return this.loop.stop();
  }

  /** The key is set last: whoever dies between, or gets no answer, leaves the loss to be noticed again. */
  private async look(): Promise<Turn> {
    try {
      const isThere = await this.redis.ask((commands) => commands.exists(key), answerDeadlineMs);
      if (isThere === 1) return 'idle';
      const [again] = await this.system.run((sql) => sql.query(drawAgain));
      if (again && again.count > 0) {
        this.log.warn({ deliveries: again.count }, 'Redis lost its queues; they are filled again');
      }
      this.wake.soon();
      await this.redis.ask((commands) => commands.set(key, '1'), answerDeadlineMs);
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error;
    }
    return 'idle';
  }
}
