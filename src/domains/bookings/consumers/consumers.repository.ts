import { Injectable } from '@nestjs/common';
import { statement, UnitOfWork } from '../../../platform/database';
import type { AppointmentEvent } from './appointment-event';

/** What consumers need to know of an appointment, as it is now: events may arrive late and in any order. */
export interface CurrentAppointment {
  readonly patientId: string;
  readonly status: 'confirmed' | 'cancelled' | 'completed';
  readonly type: string;
  /** The practice's local date, `YYYY-MM-DD`. */
  readonly date: string;
  /** The practice's local time, `HH:MM`. */
  readonly time: string;
  /** RFC 3339, UTC. */
  readonly startsAt: string;
  /** When it was changed last, to the microsecond: its version. */
  readonly updatedAt: string;
  readonly practiceName: string;
  readonly phone: string | null;
}

const current = statement<CurrentAppointment>(
  'bookings.current-for-consumers',
  `SELECT a.patient_id AS "patientId", a.status, a.type, s.date::text AS date, to_char(s.time, 'HH24:MI') AS time,
          to_char(s.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "startsAt",
          to_char(a.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "updatedAt",
          practice.name AS "practiceName", p.phone
   FROM appointments a
   JOIN slots s ON s.practice_id = a.practice_id AND s.id = a.slot_id
   JOIN patients p ON p.practice_id = a.practice_id AND p.id = a.patient_id
   JOIN practices practice ON practice.id = a.practice_id
   WHERE a.practice_id = $1 AND a.id = $2`,
);

const count = statement<{ day: string }>(
  'bookings.count-for-the-day',
  `INSERT INTO booking_daily_counts AS counts (practice_id, day, booked, cancelled, rescheduled)
   SELECT id, ($2::timestamptz AT TIME ZONE time_zone)::date, ($3 = 'appointment.booked')::int,
          ($3 = 'appointment.cancelled')::int, ($3 = 'appointment.rescheduled')::int
   FROM practices WHERE id = $1
   ON CONFLICT (practice_id, day) DO UPDATE SET booked = counts.booked + excluded.booked,
     cancelled = counts.cancelled + excluded.cancelled, rescheduled = counts.rescheduled + excluded.rescheduled
   RETURNING day::text`,
);

@Injectable()
export class ConsumersRepository {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  async find(practiceId: string, appointmentId: string): Promise<CurrentAppointment | undefined> {
    const [appointment] = await this.unitOfWork.query(current, [practiceId, appointmentId]);
    return appointment;
  }

  /** Counts one event on the day, in the practice's time zone, on which it happened. */
  async count(practiceId: string, at: Date, event: AppointmentEvent): Promise<void> {
    const counted = await this.unitOfWork.query(count, [practiceId, at.toISOString(), event]);
    if (counted.length !== 1) throw new Error('An event of an unknown practice cannot be counted');
  }
}
