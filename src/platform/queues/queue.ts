/** What follows a piece of work over a queue: whose it is, and the client's name for the affair. */
export interface JobContext {
  readonly tenant: string;
  readonly correlationId: string;
  /** W3C Trace Context, carried on as it came. */
  readonly traceparent: string | undefined;
}

export interface QueuedJob<Data extends JobContext> {
  /** Unique in its queue: a second job of the same id is dropped while the first is there. */
  readonly id: string;
  readonly data: Data;
  /** Was added before: what a dead worker, or a flush, left under its id must not keep it out. */
  readonly again: boolean;
}

/**
 * A list of work that is due now. It may lose or repeat a job: whoever adds one keeps the truth in Postgres.
 * Retries and delays are not the queue's; a handler that throws has used the job up.
 */
export interface Queue<Data extends JobContext> {
  /**
   * Adds a batch in one round trip.
   * @throws RedisUnavailable when it is not sure that all were added
   */
  add(jobs: readonly QueuedJob<Data>[]): Promise<void>;

  /** Starts to take jobs, that many at once, each in a context of its own. @param actor who acts, for the audit log */
  process(concurrency: number, actor: string, handle: (data: Data) => Promise<void>): void;

  /** Jobs that wait or run, over all processes. @throws RedisUnavailable */
  depth(): Promise<number>;
}
