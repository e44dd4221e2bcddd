import { Module } from '@nestjs/common';
import { Queues } from './queues';

/** Work handed from one process to another. The only folder that knows which library does it. */
@Module({ providers: [Queues], exports: [Queues] })
export class QueuesModule {}
