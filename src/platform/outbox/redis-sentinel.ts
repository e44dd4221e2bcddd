import { Injectable } from '@nestjs/common';
import { statement } from '../database';
import { SystemDatabase } from '../database/system';
import { Redis, RedisUnavailable } from '../redis';
import { Log } from '../telemetry';
import { Loop } from './loop';

const key = 'gatehouse:outbox:sentinel';
const checkMs = 1_000;

/** All that should be on a queue and has not begun: as many as the queues may hold, whatever the backlog. */
const drawAgain = statement<{ count: number }>(
  'outbox.draw-again',
  `WITH again AS (
     UPDATE event_deliveries SET draw_at = now() WHERE state = 'pending' AND published_at IS NOT NULL RETURNING 1
   ) SELECT count(*)::int AS count FROM again`,
);

/** Notices that Redis lost what it held (a flush, a restart without its data): a key of ours is gone. */
@Injectable()
export class RedisSentinel {
  private loop: Loop | undefined;

  constructor(
    private readonly redis: Redis,
    private readonly system: SystemDatabase,
    private readonly log: Log,
  ) {}

  /** @param onLoss called once what was on the queues is due again */
  start(onLoss: () => void): void {
    const lookEachSecond = async () => {
      if (await this.isGone()) {
        const [drawn] = await this.system.run((sql) => sql.query(drawAgain));
        if (drawn && drawn.count > 0) this.log.warn({ deliveries: drawn.count }, 'Redis lost its queues; filling them again');
        onLoss();
      }
      return 'idle' as const;
    };
    this.loop = new Loop('redis-sentinel', lookEachSecond, this.log, checkMs);
    this.loop.start();
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
  }

  /** Sets the key where it is missing: of all workers, exactly one is told that it was. */
  private async isGone(): Promise<boolean> {
    try {
      return (await this.redis.ask((commands) => commands.set(key, '1', 'NX'))) === 'OK';
    } catch (error) {
      if (error instanceof RedisUnavailable) return false;
      throw error;
    }
  }
}
