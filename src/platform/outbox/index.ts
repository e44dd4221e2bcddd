export {
  Consumes,
  type ConsumerOptions,
  type DomainEvent,
  EffectFailed,
  type ExternalConsumer,
  type FailureKind,
  type TransactionalConsumer,
} from './event';
export { Outbound, type OutboundCall } from './outbound';
export { OutboxHealth } from './outbox-health';
export { OutboxModule } from './outbox.module';
export { OutboxWake } from './outbox-wake';
