import { Config } from '../../../platform/config';
import { Context } from '../../../platform/context';
import { Consumes, type DomainEvent, EffectFailed, type ExternalConsumer, Outbound } from '../../../platform/outbox';
import { appointmentEvents, appointmentOf } from './appointment-event';
import { Disclosures } from './disclosures';
import { ConsumersRepository, type CurrentAppointment } from './consumers.repository';

/** The property by which the CRM knows a meeting again; made there once, with unique values. */
const idProperty = 'gatehouse_appointment_id';
/** The property that tells which state of the appointment the CRM has; made there once. */
const versionProperty = 'gatehouse_appointment_version';
const multiStatus = 207;

/**
 * Keeps a meeting for each appointment in the CRM: HubSpot's batch upsert by a unique property, which makes a repetition
 * harmless (developers.hubspot.com, CRM API v3, meetings). It sends the appointment as it is now, whatever the event said,
 * and sends it again where it was changed meanwhile: two calls may pass each other, and the CRM keeps what comes last.
 */
@Consumes({ name: 'crm', eventTypes: appointmentEvents })
export class CrmConsumer implements ExternalConsumer<CurrentAppointment> {
  private readonly url: string;

  constructor(
    private readonly repository: ConsumersRepository,
    private readonly disclosures: Disclosures,
    private readonly outbound: Outbound,
    private readonly context: Context,
    private readonly config: Config,
  ) {
    this.url = `${config.get('CRM_URL').replace(/\/+$/, '')}/crm/v3/objects/meetings/batch/upsert`;
  }

  prepare(event: DomainEvent): Promise<CurrentAppointment | undefined> {
    return this.repository.find(event.tenantId, appointmentOf(event));
  }

  async send(event: DomainEvent, { patientId, type, status, startsAt, updatedAt }: CurrentAppointment): Promise<void> {
    await this.disclosures.record(event, patientId, 'crm');
    const appointmentId = appointmentOf(event);
    const properties = {
      [idProperty]: appointmentId,
      [versionProperty]: updatedAt,
      hs_timestamp: startsAt,
      hs_meeting_title: type,
      hs_meeting_start_time: startsAt,
      hs_meeting_outcome: outcomeOf[status],
    };
    const answer = await this.outbound.post({
      url: this.url,
      token: this.config.get('CRM_TOKEN'),
      body: { inputs: [{ id: appointmentId, idProperty, properties, objectWriteTraceId: event.id }] },
      idempotencyKey: event.id,
      correlation: this.context.current,
    });
    // Parts of the batch failed, and ours has one part.
    if (answer === multiStatus) throw new EffectFailed({ errorClass: 'rejected', retryable: false, unwell: false });
  }

  async isStillSo(event: DomainEvent, sent: CurrentAppointment): Promise<boolean> {
    const now = await this.repository.find(event.tenantId, appointmentOf(event));
    return now?.updatedAt === sent.updatedAt;
  }
}

const outcomeOf: Readonly<Record<CurrentAppointment['status'], string>> = {
  confirmed: 'SCHEDULED',
  cancelled: 'CANCELED',
  completed: 'COMPLETED',
};
