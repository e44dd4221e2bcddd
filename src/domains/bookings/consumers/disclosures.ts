import { Injectable } from '@nestjs/common';
import { type AuditEntry, AuditTrail } from '../../../platform/audit';
import { Context } from '../../../platform/context';
import { DatabaseUnavailable } from '../../../platform/database';
import type { DomainEvent } from '../../../platform/outbox';
import { appointmentOf } from './appointment-event';

/** Of the lease of an attempt, which has to do for the call as well. */
const mostWaitMs = 5_000;

/** Records what is told of a patient to somebody outside (45 CFR 164.528: accounting of disclosures). */
@Injectable()
export class Disclosures {
  constructor(
    private readonly trail: AuditTrail,
    private readonly context: Context,
  ) {}

  /**
   * Resolves once the entry is durable; then it may be told. Each attempt has an entry of its own, since it may have arrived
   * although it failed: an entry says that something may have been told, at its time or just after. One that is given up may
   * become durable all the same.
   * @param to the consumer that tells it
   * @throws DatabaseUnavailable when it is not durable within five seconds
   */
  async record(event: DomainEvent, patientId: string, to: string): Promise<void> {
    const entry = this.entryOf(event, patientId, to);
    let late: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      late = setTimeout(() => reject(new Error('The audit log takes too long')), mostWaitMs);
    });
    try {
      await Promise.race([this.trail.append(entry), limit]);
    } catch (error) {
      throw new DatabaseUnavailable(error);
    } finally {
      clearTimeout(late);
    }
  }

  private entryOf(event: DomainEvent, patientId: string, to: string): AuditEntry {
    return {
      practice: event.tenantId,
      actor: this.context.current?.actor ?? null,
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
    };
  }
}
