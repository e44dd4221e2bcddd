import { DiscoveryService } from '@nestjs/core';

/** Something that happened and was committed, as its consumers see it. */
export interface DomainEvent {
  /** `evt_…`; the same at every delivery, hence the idempotency key of any effect. */
  readonly id: string;
  /** `<noun>.<past participle>`, such as `appointment.booked`. */
  readonly type: string;
  readonly tenantId: string;
  /** Identifiers and facts, no PHI. */
  readonly payload: Readonly<Record<string, unknown>>;
  readonly occurredAt: Date;
}

export interface ConsumerOptions {
  /** Names its queue and its deliveries; never changed once events were delivered under it. */
  readonly name: string;
  readonly eventTypes: readonly string[];
}

/**
 * Makes a provider a consumer of events. It has a queue, retries and dead letters of its own, and implements
 * `TransactionalConsumer` or `ExternalConsumer`.
 */
export const Consumes = DiscoveryService.createDecorator<ConsumerOptions>();

/** A consumer whose effect is in our own database. */
export interface TransactionalConsumer {
  /** Runs in a transaction of the event's tenant that also marks the delivery done: the effect happens exactly once. */
  handle(event: DomainEvent): Promise<void>;
}

/** A consumer whose effect is a call to somebody else. */
export interface ExternalConsumer<Prepared extends object = object> {
  /**
   * Reads, in a transaction of the event's tenant, what the call needs.
   * @returns `undefined` when there is nothing to call: the delivery is done
   */
  prepare(event: DomainEvent): Promise<Prepared | undefined>;

  /**
   * Makes the call, with no transaction open, in less than `attemptLeaseSeconds`. It may be repeated: the other side
   * must know it again by the event's id.
   * @throws EffectFailed; DatabaseUnavailable before anybody was called, where our own servers are in the way: then it was no
   * attempt
   */
  send(event: DomainEvent, prepared: Prepared): Promise<void>;

  /**
   * For a consumer that keeps a copy of our state elsewhere: whether what was sent is still so. Asked behind the call, in
   * the transaction that finishes the delivery, and of attempts that were overtaken, too. Where it is not, the delivery is
   * made again, so that a call which passed another on its way cannot leave the older state behind.
   */
  isStillSo?(event: DomainEvent, prepared: Prepared): Promise<boolean>;
}

export type EventConsumer = TransactionalConsumer | ExternalConsumer;

export function isExternal(consumer: EventConsumer): consumer is ExternalConsumer {
  return 'send' in consumer;
}

export interface FailureKind {
  /** Names the failure for operators and metrics: few values, no addresses, nothing of the content. */
  readonly errorClass: string;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** Whether it says something of the other side's health, rather than of this one message. */
  readonly unwell: boolean;
  /** How long the other side asked us to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/** The effect of a consumer did not happen, or it is not known whether it did. */
export class EffectFailed extends Error {
  constructor(
    readonly kind: FailureKind,
    cause?: unknown,
  ) {
    super(`The effect failed: ${kind.errorClass}`, { cause });
  }
}
