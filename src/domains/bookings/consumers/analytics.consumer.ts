import { Consumes, type DomainEvent, type TransactionalConsumer } from '../../../platform/outbox';
import { type AppointmentEvent, appointmentEvents } from './appointment-event';
import { ConsumersRepository } from './consumers.repository';

/** Counts what a practice booked, cancelled and moved on each of its days. */
@Consumes({ name: 'analytics', eventTypes: appointmentEvents })
export class AnalyticsConsumer implements TransactionalConsumer {
  constructor(private readonly repository: ConsumersRepository) {}

  async handle(event: DomainEvent): Promise<void> {
    await this.repository.count(event.tenantId, event.occurredAt, event.type as AppointmentEvent);
  }
}
