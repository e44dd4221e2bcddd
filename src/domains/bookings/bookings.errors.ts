import { DomainError, ForeignTenant } from '../../policy';

/** Somebody else has the slot. */
export class SlotTaken extends DomainError {
  constructor(slotId: string) {
    super('slot_taken', 'conflict', 'Slot already taken', { slotId });
  }
}

/** No slot of the practice has this id. */
export class SlotUnknown extends DomainError {
  constructor(slotId: string) {
    super('slot_unknown', 'not_found', 'Slot not found', { slotId });
  }
}

/** The slot is another practice's. */
export class SlotForeign extends ForeignTenant {
  constructor(slotId: string, ownerPractice: string) {
    super('slot', slotId, ownerPractice);
  }
}

/** The slot's time has come already. */
export class SlotPast extends DomainError {
  constructor(slotId: string) {
    super('slot_past', 'conflict', 'Slot already past', { slotId });
  }
}

/** No appointment of the practice has this id. */
export class AppointmentUnknown extends DomainError {
  constructor(appointmentId: string) {
    super('appointment_unknown', 'not_found', 'Appointment not found', { appointmentId });
  }
}

/** The appointment is another practice's. */
export class AppointmentForeign extends ForeignTenant {
  constructor(appointmentId: string, ownerPractice: string) {
    super('appointment', appointmentId, ownerPractice);
  }
}

/** Only a confirmed appointment can be cancelled or moved. */
export class AppointmentNotConfirmed extends DomainError {
  constructor(appointmentId: string, status: string) {
    super('appointment_not_confirmed', 'conflict', 'Appointment is not confirmed', { appointmentId, status });
  }
}
