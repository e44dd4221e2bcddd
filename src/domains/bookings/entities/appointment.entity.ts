export const appointmentTypes = ['comprehensive_exam', 'contact_lens_fitting', 'follow_up', 'urgent_visit'] as const;
export type AppointmentType = (typeof appointmentTypes)[number];

export const appointmentStatuses = ['confirmed', 'cancelled', 'completed'] as const;
export type AppointmentStatus = (typeof appointmentStatuses)[number];

export interface Appointment {
  readonly appointmentId: string;
  /** Whose it is; checked against the caller, and in no answer. */
  readonly practiceId: string;
  readonly status: AppointmentStatus;
  /** `YYYY-MM-DD` in the practice's calendar. */
  readonly date: string;
  /** `HH:MM` on the practice's clock. */
  readonly time: string;
  readonly type: AppointmentType;
  readonly patientId: string;
  readonly slotId: string;
}
