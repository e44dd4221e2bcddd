import { Injectable } from '@nestjs/common';
import { AuditTrail } from '../../../platform/audit';
import { Context } from '../../../platform/context';
import type { DomainEvent } from '../../../platform/outbox';
import { appointmentOf } from './appointment-event';

/** Records what is told of a patient to somebody outside (45 CFR 164.528: accounting of disclosures). */
@Injectable()
export class Disclosures {
  constructor(
    private readonly trail: AuditTrail,
    private readonly context: Context,
  ) {}

  /**
   * Resolves once the entry is durable; then it may be told. Each attempt has one of its own: it may have arrived although
   * it failed.
   * @param to the consumer that tells it
   * @throws AuditUnavailable
   */
  record(event: DomainEvent, patientId: string, to: string): Promise<void> {
    return this.trail.append({
      practice: event.tenantId,
      actor: null,
      clientId: null,
      role: null,
      action: 'appointment.disclose',
      outcome: 'allowed',
      code: null,
      route: null,
      subjects: [appointmentOf(event), patientId],
      subjectPractice: null,
      detail: { to, eventId: event.id },
      correlationId: this.context.current?.correlationId ?? null,
      requestId: null,
      ip: null,
    });
  }
}
