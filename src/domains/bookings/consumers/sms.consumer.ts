import { Config } from '../../../platform/config';
import { Context } from '../../../platform/context';
import { Consumes, type DomainEvent, type ExternalConsumer, Outbound } from '../../../platform/outbox';
import { type AppointmentEvent, appointmentEvents, appointmentOf } from './appointment-event';
import { Disclosures } from './disclosures';
import { ConsumersRepository, type CurrentAppointment } from './consumers.repository';

interface Message {
  readonly patientId: string;
  readonly to: string;
  readonly body: string;
}

/** Tells the patient by SMS. What is no longer so when its turn comes is not sent. */
@Consumes({ name: 'sms', eventTypes: appointmentEvents })
export class SmsConsumer implements ExternalConsumer<Message> {
  constructor(
    private readonly repository: ConsumersRepository,
    private readonly disclosures: Disclosures,
    private readonly outbound: Outbound,
    private readonly context: Context,
    private readonly config: Config,
  ) {}

  async prepare(event: DomainEvent): Promise<Message | undefined> {
    const appointment = await this.repository.find(event.tenantId, appointmentOf(event));
    if (!appointment?.phone) return undefined;
    const body = textOf(event.type as AppointmentEvent, appointment);
    return body === undefined ? undefined : { patientId: appointment.patientId, to: appointment.phone, body };
  }

  async send(event: DomainEvent, { patientId, ...message }: Message): Promise<void> {
    await this.disclosures.record(event, patientId, 'sms');
    await this.outbound.post({
      url: this.config.get('SMS_URL'),
      token: this.config.get('SMS_TOKEN'),
      body: message,
      idempotencyKey: event.id,
      correlation: this.context.current,
    });
  }
}

function textOf(type: AppointmentEvent, appointment: CurrentAppointment): string | undefined {
  const { date, time, practiceName, status } = appointment;
  const isCancelled = status === 'cancelled';
  switch (type) {
    case 'appointment.booked':
      return isCancelled ? undefined : `${practiceName}: your appointment is booked for ${date} at ${time}.`;
    case 'appointment.rescheduled':
      return isCancelled ? undefined : `${practiceName}: your appointment was moved to ${date} at ${time}.`;
    case 'appointment.cancelled':
      return `${practiceName}: your appointment on ${date} at ${time} was cancelled.`;
  }
}
