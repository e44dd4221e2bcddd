import { BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { Context } from '../context';
import { Redis } from '../redis';
import { Log } from '../telemetry';
import { BullQueue } from './bull-queue';
import type { JobContext, Queue } from './queue';

/** Opens queues, and ends them with the application: what runs is finished, nothing new is taken. */
@Injectable()
export class Queues implements BeforeApplicationShutdown {
  private readonly opened: { close(): Promise<void> }[] = [];

  constructor(
    private readonly redis: Redis,
    private readonly context: Context,
    private readonly log: Log,
  ) {}

  /** @param name unique in the application; the same in all its processes */
  open<Data extends JobContext>(name: string): Queue<Data> {
    const queue = new BullQueue<Data>(name, this.redis, this.context, this.log);
    this.opened.push(queue);
    return queue;
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all(this.opened.map((queue) => queue.close()));
  }
}
