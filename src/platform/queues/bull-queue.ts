import Bull from 'bull';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Redis as Connection } from 'ioredis';
import { type Context, freshContext } from '../context';
import { type Redis, RedisUnavailable } from '../redis';
import type { Log } from '../telemetry';
import type { JobContext, Queue, QueuedJob } from './queue';

/** How long a command of the queue may take; a batch is larger than what a request asks of Redis. */
const commandDeadlineMs = 2_000;
/** How long running jobs have at shutdown: longer than the longest attempt. */
const drainDeadlineMs = 25_000;
const closeDeadlineMs = 1_000;
/** How long a worker's hold on a job outlives it; renewed at half of it. A hold lost to a stall costs a skipped attempt. */
const lockMs = 10_000;

/** Bull as a plain list of due work: one attempt, nothing kept, no delays. */
export class BullQueue<Data extends JobContext> implements Queue<Data> {
  private readonly bull: Bull.Queue<Data>;
  private readonly connections: Connection[] = [];
  private readonly running = new Set<Promise<void>>();
  private readonly keyOf: (suffix: string) => string;

  constructor(
    name: string,
    private readonly redis: Redis,
    private readonly context: Context,
    private readonly log: Log,
  ) {
    // The braces are a hash tag: all keys of a queue's scripts lie in one slot of a Redis Cluster.
    const prefix = `gatehouse:{${name}}`;
    this.keyOf = (suffix) => `${prefix}:${name}:${suffix}`;
    this.bull = new Bull<Data>(name, {
      prefix,
      createClient: () => this.connect(),
      defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
      settings: {
        lockDuration: lockMs,
        stalledInterval: lockMs / 2,
        // A job whose worker died again and again goes on being handed out: Postgres decides when it is dead.
        maxStalledCount: 1_000_000,
        retryProcessDelay: 500,
        drainDelay: 5,
      },
    });
    this.bull.on('error', (error) => this.log.debug({ err: error, queue: name }, 'The queue reported an error'));
  }

  async add(jobs: readonly QueuedJob<Data>[]): Promise<void> {
    if (jobs.length === 0) return;
    await this.ask(async () => {
      await this.removeGhosts(jobs.filter(({ again }) => again).map(({ id }) => id));
      return this.bull.addBulk(jobs.map(({ id, data }) => ({ data, opts: { jobId: id } })));
    });
  }

  process(concurrency: number, actor: string, handle: (data: Data) => Promise<void>): void {
    const work = (job: Bull.Job<Data>): Promise<void> => {
      const { data } = job;
      const { correlationId, tenant } = data;
      // A flush of Redis between two commands of Bull leaves a job without its data.
      if (!('tenant' in data)) return Promise.reject(new Error('The job came without its data'));
      const names = { correlationId, requestId: randomUUID(), traceparent: data.traceparent };
      const running = this.context.run({ ...freshContext(names), tenant, actor }, () => handle(data));
      this.running.add(running);
      return running.finally(() => this.running.delete(running));
    };
    this.bull
      .process(concurrency, work)
      .catch((error: unknown) => this.log.error({ err: error, queue: this.bull.name }, 'The queue stopped'));
  }

  async depth(): Promise<number> {
    return this.ask(async () => {
      const { waiting, active } = await this.bull.getJobCounts();
      return waiting + active;
    });
  }

  /** Takes nothing new, waits for what runs, and lets go of Redis, whether it answers or not. */
  async close(): Promise<void> {
    // Not awaited: with Redis away it would wait for its return.
    this.bull.pause(true, true).catch((error: unknown) => this.log.debug({ err: error }, 'The queue was not paused'));
    await within(drainDeadlineMs, Promise.allSettled(this.running), undefined);
    await within(closeDeadlineMs, this.bull.close(true), undefined);
    for (const connection of this.connections) connection.disconnect();
  }

  private connect(): Connection {
    const connection = this.redis.open({ maxRetriesPerRequest: null, enableReadyCheck: false });
    this.connections.push(connection);
    return connection;
  }

  private async ask<Answer>(command: () => Promise<Answer>): Promise<Answer> {
    // Bull's connections keep commands until Redis is back; what nobody waits for any more must not pile up there.
    if (!this.redis.isReady) throw new RedisUnavailable('not ready');
    const late = new RedisUnavailable(`no answer in ${commandDeadlineMs} ms`);
    const answer = await within(commandDeadlineMs, command(), late).catch((error: unknown) => {
      throw new RedisUnavailable(error);
    });
    if (answer instanceof RedisUnavailable) throw answer;
    return answer;
  }

  /**
   * Removes what is left of jobs that nobody will take and nobody holds: Bull drops a new job as a duplicate for as long as a
   * key of its id exists. Should a worker be about to take one, it runs twice, which the delivery's lease makes harmless.
   */
  private async removeGhosts(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const { client } = this.bull as unknown as { client: Connection };
    const look = client.multi();
    for (const id of ids) look.lpos(this.keyOf('wait'), id).exists(this.keyOf(`${id}:lock`));
    const found = (await look.exec()) ?? [];
    const ghosts = ids.filter((_, index) => found[2 * index]?.[1] === null && found[2 * index + 1]?.[1] === 0);
    if (ghosts.length === 0) return;
    const remove = client.multi();
    for (const id of ghosts) remove.lrem(this.keyOf('active'), 0, id).del(this.keyOf(id));
    remove.zrem(this.keyOf('failed'), ...ghosts).zrem(this.keyOf('completed'), ...ghosts);
    await remove.exec();
  }
}

/** What `work` gives, or `late` once the time is over; `work` goes on then. */
async function within<Result, Late>(deadlineMs: number, work: Promise<Result>, late: Late): Promise<Result | Late> {
  const timer = new AbortController();
  try {
    return await Promise.race([work, pause(deadlineMs, late, { signal: timer.signal })]);
  } finally {
    timer.abort();
  }
}
