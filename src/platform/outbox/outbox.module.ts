import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { SystemDatabaseModule } from '../database/system';
import { QueuesModule } from '../queues';
import { ConsumerWorkers } from './consumer-workers';
import { Consumers } from './consumers';
import { Housekeeping } from './housekeeping';
import { Outbound } from './outbound';
import { OutboxHealth } from './outbox-health';
import { OutboxWake } from './outbox-wake';
import { RedisSentinel } from './redis-sentinel';
import { Relay } from './relay';
import { RelayWorker } from './relay-worker';
import { WakeListener } from './wake-listener';

/** Events that commit with the change they tell of, and reach each of their consumers once. */
@Module({
  imports: [DiscoveryModule, QueuesModule, SystemDatabaseModule],
  providers: [
    OutboxWake,
    Outbound,
    Consumers,
    Relay,
    ConsumerWorkers,
    RelayWorker,
    OutboxHealth,
    WakeListener,
    RedisSentinel,
    Housekeeping,
  ],
  exports: [OutboxWake, Outbound, OutboxHealth],
})
export class OutboxModule {}
