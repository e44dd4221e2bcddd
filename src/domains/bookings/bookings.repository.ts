import { Injectable } from '@nestjs/common';
import { statement, UnitOfWork } from '../../platform/database';
import type { Appointment, AppointmentType } from './entities/appointment.entity';
import type { Slot, SlotStatus } from './entities/slot.entity';

/** Everything that one booking writes. */
export interface Claim {
  readonly appointmentId: string;
  readonly eventId: string;
  readonly patientId: string;
  readonly slotId: string;
  readonly type: AppointmentType;
  readonly bookedBy: string;
  readonly correlationId: string;
  readonly traceparent: string | undefined;
}

/** What an event about an existing appointment needs. */
export interface EventNames {
  readonly eventId: string;
  readonly correlationId: string;
  readonly traceparent: string | undefined;
}

export interface WhyNotBooked {
  readonly patientIsOurs: boolean;
  readonly slotPractice: string | null;
  readonly slotStatus: SlotStatus | null;
  readonly slotIsPast: boolean | null;
}

const slotColumns = `practice_id AS "practiceId", id, date::text AS date, to_char(time, 'HH24:MI') AS time, status`;

const slotsOfDay = statement<Slot>(
  'bookings.slots-of-day',
  `SELECT ${slotColumns} FROM slots
   WHERE practice_id = $1 AND date = $2::date AND ($3::text IS NULL OR status = $3)
     AND (time, id) > ($4::time, $5)
   ORDER BY slots.time, id LIMIT $6`,
);

/**
 * The slot, the appointment and the event in one statement: four round trips become one, and the row lock on the slot is
 * held for that much less. The update's own condition decides a race: the second sees `booked` and changes nothing.
 */
const claimSlot = statement<{ date: string; time: string }>(
  'bookings.claim-slot',
  `WITH slot AS (
     UPDATE slots SET status = 'booked'
     WHERE practice_id = $1 AND id = $2 AND status = 'available' AND starts_at > now()
       AND EXISTS (SELECT FROM patients WHERE practice_id = $1 AND id = $3)
     RETURNING date::text AS date, to_char(time, 'HH24:MI') AS time, starts_at
   ), appointment AS (
     INSERT INTO appointments (practice_id, id, patient_id, slot_id, starts_at, type, booked_by)
     SELECT $1, $4, $3, $2, starts_at, $5, $6 FROM slot
   ), event AS (
     INSERT INTO outbox_events (id, tenant_id, type, payload, correlation_id, traceparent)
     SELECT $7, $1, 'appointment.booked', jsonb_build_object(
       'appointmentId', $4::text, 'patientId', $3::text, 'slotId', $2::text, 'type', $5::text, 'date', date, 'time', time
     ), $8, $9 FROM slot
   )
   SELECT date, time FROM slot`,
);

const whyNotBooked = statement<WhyNotBooked>(
  'bookings.why-not-booked',
  `SELECT EXISTS (SELECT FROM patients WHERE practice_id = $1 AND id = $3) AS "patientIsOurs",
          practice_of_slot($2) AS "slotPractice",
          s.status AS "slotStatus", s.starts_at <= now() AS "slotIsPast"
   FROM (VALUES (1)) one LEFT JOIN slots s ON s.practice_id = $1 AND s.id = $2`,
);

const appointmentColumns = `
  a.id AS "appointmentId", a.practice_id AS "practiceId", a.status, s.date::text AS date, to_char(s.time, 'HH24:MI') AS time, a.type,
  a.patient_id AS "patientId", a.slot_id AS "slotId"`;

const oneAppointment = statement<Appointment>(
  'bookings.one-appointment',
  `SELECT ${appointmentColumns} FROM appointments a
   JOIN slots s ON s.practice_id = a.practice_id AND s.id = a.slot_id
   WHERE a.practice_id = $1 AND a.id = $2`,
);

/** Locks the appointment, so that two who change it take turns; `updated_at`, read from the clock behind it, only grows. */
const lockedAppointment = statement<Appointment>(
  'bookings.locked-appointment',
  `${oneAppointment.text} FOR NO KEY UPDATE OF a`,
);

const listAppointments = statement<Appointment>(
  'bookings.list-appointments',
  `SELECT ${appointmentColumns} FROM appointments a
   JOIN slots s ON s.practice_id = a.practice_id AND s.id = a.slot_id
   WHERE a.practice_id = $1 AND ($2::text IS NULL OR a.patient_id = $2) AND a.id > $3
   ORDER BY a.id LIMIT $4`,
);

const cancel = statement(
  'bookings.cancel',
  `WITH appointment AS (
     UPDATE appointments SET status = 'cancelled', updated_at = clock_timestamp() WHERE practice_id = $1 AND id = $2
   ), slot AS (
     UPDATE slots SET status = 'available' WHERE practice_id = $1 AND id = $3 AND status = 'booked'
   )
   INSERT INTO outbox_events (id, tenant_id, type, payload, correlation_id, traceparent)
   VALUES ($4, $1, 'appointment.cancelled', $5, $6, $7)`,
);

/** Takes the new slot and, only if it was free, gives the old one back and moves the appointment. */
const move = statement<{ date: string; time: string }>(
  'bookings.move',
  `WITH taken AS (
     UPDATE slots SET status = 'booked'
     WHERE practice_id = $1 AND id = $3 AND status = 'available' AND starts_at > now()
     RETURNING date::text AS date, to_char(time, 'HH24:MI') AS time, starts_at
   ), given AS (
     UPDATE slots SET status = 'available' WHERE practice_id = $1 AND id = $4 AND EXISTS (SELECT FROM taken)
   ), appointment AS (
     UPDATE appointments SET slot_id = $3, starts_at = taken.starts_at, updated_at = clock_timestamp() FROM taken
     WHERE practice_id = $1 AND id = $2
   ), event AS (
     INSERT INTO outbox_events (id, tenant_id, type, payload, correlation_id, traceparent)
     SELECT $5, $1, 'appointment.rescheduled', $6::jsonb || jsonb_build_object('date', date, 'time', time), $7, $8 FROM taken
   )
   SELECT date, time FROM taken`,
);

const practiceOf = statement<{ practiceId: string | null }>(
  'bookings.practice-of',
  `SELECT practice_of_appointment($1) AS "practiceId"`,
);

@Injectable()
export class BookingsRepository {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** A day's slots in order of time; one row more than `limit` where there are more. */
  slotsOfDay(
    practiceId: string,
    date: string,
    status: SlotStatus | undefined,
    after: readonly [time: string, id: string],
    limit: number,
  ): Promise<Slot[]> {
    return this.unitOfWork.query(slotsOfDay, [practiceId, date, status ?? null, ...after, limit + 1]);
  }

  /** Takes a free slot for a patient of the practice; `undefined` where that is not possible, and nothing has changed. */
  async claimSlot(practiceId: string, claim: Claim): Promise<{ date: string; time: string } | undefined> {
    const { slotId, patientId, appointmentId, type, bookedBy, eventId, correlationId, traceparent } = claim;
    const values = [
      practiceId,
      slotId,
      patientId,
      appointmentId,
      type,
      bookedBy,
      eventId,
      correlationId,
      traceparent ?? null,
    ];
    const [claimed] = await this.unitOfWork.query(claimSlot, values);
    return claimed;
  }

  async whyNotBooked(practiceId: string, slotId: string, patientId: string): Promise<WhyNotBooked> {
    const [reason] = await this.unitOfWork.query(whyNotBooked, [practiceId, slotId, patientId]);
    if (!reason) throw new Error('A query of one row gave none');
    return reason;
  }

  async find(practiceId: string, appointmentId: string): Promise<Appointment | undefined> {
    const [appointment] = await this.unitOfWork.query(oneAppointment, [practiceId, appointmentId]);
    return appointment;
  }

  /** As `find`, and keeps others from changing it until the transaction ends. */
  async lock(practiceId: string, appointmentId: string): Promise<Appointment | undefined> {
    const [appointment] = await this.unitOfWork.query(lockedAppointment, [practiceId, appointmentId]);
    return appointment;
  }

  /** In order of booking; one row more than `limit` where there are more. */
  list(practiceId: string, patientId: string | undefined, afterId: string, limit: number): Promise<Appointment[]> {
    return this.unitOfWork.query(listAppointments, [practiceId, patientId ?? null, afterId, limit + 1]);
  }

  /** Which practice has this appointment, whoever asks; nothing else of it. */
  async practiceOf(appointmentId: string): Promise<string | undefined> {
    const [row] = await this.unitOfWork.query(practiceOf, [appointmentId]);
    return row?.practiceId ?? undefined;
  }

  async cancel(practiceId: string, appointment: Appointment, names: EventNames): Promise<void> {
    const { appointmentId, slotId } = appointment;
    const payload = JSON.stringify(payloadOf(appointment));
    const { eventId, correlationId, traceparent } = names;
    await this.unitOfWork.query(cancel, [
      practiceId,
      appointmentId,
      slotId,
      eventId,
      payload,
      correlationId,
      traceparent ?? null,
    ]);
  }

  /** Moves an appointment to a free slot; `undefined` where that one is not free, and nothing has changed. */
  async move(
    practiceId: string,
    appointment: Appointment,
    toSlotId: string,
    names: EventNames,
  ): Promise<{ date: string; time: string } | undefined> {
    const { appointmentId, slotId } = appointment;
    const payload = JSON.stringify({ ...payloadOf(appointment), slotId: toSlotId, fromSlotId: slotId });
    const { eventId, correlationId, traceparent } = names;
    const [moved] = await this.unitOfWork.query(move, [
      practiceId,
      appointmentId,
      toSlotId,
      slotId,
      eventId,
      payload,
      correlationId,
      traceparent ?? null,
    ]);
    return moved;
  }
}

/** An event holds identifiers and times, no PHI: consumers read what else they need under the tenant's own rules. */
function payloadOf({ appointmentId, patientId, slotId, type, date, time }: Appointment) {
  return { appointmentId, patientId, slotId, type, date, time };
}
