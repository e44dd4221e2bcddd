export type { JobContext, Queue, QueuedJob } from './queue';
export { Queues } from './queues';
export { QueuesModule } from './queues.module';
