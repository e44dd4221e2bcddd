import type { DomainEvent } from '../../../platform/outbox';

export const appointmentEvents = ['appointment.booked', 'appointment.cancelled', 'appointment.rescheduled'] as const;
export type AppointmentEvent = (typeof appointmentEvents)[number];

/** The appointment that an event is about. @throws Error for an event that names none */
export function appointmentOf({ payload, type }: DomainEvent): string {
  const { appointmentId } = payload;
  if (typeof appointmentId !== 'string') throw new Error(`An event "${type}" names no appointment`);
  return appointmentId;
}
