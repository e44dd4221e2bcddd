import Bull from 'bull';
import IORedis from 'ioredis';
import type { World } from '../support/world';

/** A look into, and a hand on, the queue of one consumer: what a fault or an operator's mistake may do to it. */
export class Lane {
  private readonly redis: IORedis;

  constructor(
    world: World,
    private readonly name: string,
  ) {
    this.redis = new IORedis(world.redisUrl);
  }

  /** Adds jobs past the application: the same events once more, under other ids. */
  async addAgain(eventIds: readonly string[], tenant: string, suffix: string): Promise<void> {
    const queue = new Bull(this.name, {
      prefix: `gatehouse:{${this.name}}`,
      createClient: () => this.redis.duplicate({ maxRetriesPerRequest: null, enableReadyCheck: false }),
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    });
    await queue.addBulk(
      eventIds.map((eventId) => ({
        data: { eventId, tenant, correlationId: 'again' },
        opts: { jobId: `${eventId}.${this.name}.${suffix}` },
      })),
    );
    (queue as unknown as { client: IORedis }).client.disconnect();
  }

  /** Jobs that wait. */
  waiting(): Promise<number> {
    return this.redis.llen(this.key('wait'));
  }

  /** Jobs that some worker took and did not finish. */
  active(): Promise<number> {
    return this.redis.llen(this.key('active'));
  }

  /** As if the holds of all workers on their jobs had run out. */
  async dropLocks(): Promise<void> {
    const locks = await this.redis.keys(this.key('*:lock'));
    if (locks.length > 0) await this.redis.del(...locks);
  }

  /** What a flush between two commands of Bull leaves: a job's key without its data, in no list. */
  async leaveGhost(eventId: string): Promise<void> {
    await this.redis.hset(this.key(`${eventId}.${this.name}`), 'processedOn', '1');
  }

  async flushAll(): Promise<void> {
    await this.redis.flushall();
  }

  /** Loses everything, unnoticed: the sentinel's key is there. */
  async loseUnnoticed(): Promise<void> {
    await this.redis.multi().flushall().set('gatehouse:outbox:sentinel', '1').exec();
  }

  close(): void {
    this.redis.disconnect();
  }

  private key(suffix: string): string {
    return `gatehouse:{${this.name}}:${this.name}:${suffix}`;
  }
}
