import { Injectable } from '@nestjs/common';
import { Context } from '../../platform/context';
import { ReadOnly, Transactional } from '../../platform/database';
import { newId } from '../../platform/identifiers';
import { OutboxWake } from '../../platform/outbox';
import { type Caller, keysOf, ownRows, type Page, pageFrom, type PageQuery, practiceOf } from '../../policy';
import { PatientForeign, PatientsService } from '../patients';
import {
  AppointmentForeign,
  AppointmentNotConfirmed,
  AppointmentUnknown,
  SlotForeign,
  SlotPast,
  SlotTaken,
  SlotUnknown,
} from './bookings.errors';
import { BookingsRepository, type EventNames } from './bookings.repository';
import type { BookAppointment, RescheduleAppointment } from './dto/book-appointment.dto';
import type { ListAppointments, ListSlots } from './dto/slot.view';
import type { Appointment } from './entities/appointment.entity';
import type { Slot } from './entities/slot.entity';

@Injectable()
export class BookingsService {
  constructor(
    private readonly repository: BookingsRepository,
    private readonly patients: PatientsService,
    private readonly context: Context,
    private readonly outbox: OutboxWake,
  ) {}

  /** The slots of a day, in order of time. @throws SlotForeign */
  @ReadOnly()
  async slots(caller: Caller, { date, status, limit, cursor }: ListSlots): Promise<Page<Slot>> {
    const after = (cursor === undefined ? ['00:00', ''] : keysOf(cursor, 2)) as [string, string];
    const rows = await this.repository.slotsOfDay(practiceOf(caller), date, status, after, limit);
    return pageFrom(ownRows(caller, rows, foreignSlot), limit, ({ time, id }) => [time, id]);
  }

  /**
   * Books a free slot for a patient of the caller's practice, and tells the outbox in the same transaction.
   * @throws SlotTaken, SlotPast, SlotUnknown, SlotForeign, PatientUnknown, PatientForeign
   */
  @Transactional()
  async book(caller: Caller, { patientId, slotId, type }: BookAppointment): Promise<Appointment> {
    const practiceId = practiceOf(caller);
    const appointmentId = newId('appt');
    const claim = { appointmentId, patientId, slotId, type, bookedBy: caller.userId, ...this.eventNames() };
    const claimed = await this.repository.claimSlot(practiceId, claim);
    if (!claimed) throw await this.reason(caller, slotId, patientId);
    this.outbox.soon();
    return { appointmentId, practiceId, status: 'confirmed', ...claimed, type, patientId, slotId };
  }

  /** @throws AppointmentUnknown, AppointmentForeign */
  @ReadOnly()
  async get(caller: Caller, appointmentId: string): Promise<Appointment> {
    const appointment = await this.repository.find(practiceOf(caller), appointmentId);
    if (!appointment) throw await this.unknownOrForeign(appointmentId);
    return own(caller, appointment);
  }

  /** @throws PatientForeign */
  @ReadOnly()
  async list(caller: Caller, { patientId, limit, cursor }: ListAppointments): Promise<Page<Appointment>> {
    const [afterId = ''] = cursor === undefined ? [] : keysOf(cursor, 1);
    const rows = await this.repository.list(practiceOf(caller), patientId, afterId, limit);
    if (patientId !== undefined && rows.length === 0) {
      const why = await this.patients.unknownOrForeign(caller, patientId);
      if (why instanceof PatientForeign) throw why;
    }
    return pageFrom(ownRows(caller, rows, foreign), limit, (last) => [last.appointmentId]);
  }

  /**
   * The appointments of one patient, in order of booking.
   * @throws PatientUnknown, PatientForeign
   */
  @Transactional()
  async ofPatient(caller: Caller, patientId: string, { limit, cursor }: PageQuery): Promise<Page<Appointment>> {
    const page = await this.list(caller, { patientId, limit, ...(cursor !== undefined && { cursor }) });
    // Whoever has an appointment with the practice is its patient; the others are looked up.
    if (page.data.length === 0) await this.patients.get(caller, patientId);
    return page;
  }

  /**
   * Cancels a confirmed appointment and gives its slot back.
   * @throws AppointmentUnknown, AppointmentForeign, AppointmentNotConfirmed
   */
  @Transactional()
  async cancel(caller: Caller, appointmentId: string): Promise<Appointment> {
    const appointment = await this.confirmed(caller, appointmentId);
    await this.repository.cancel(practiceOf(caller), appointment, this.eventNames());
    this.outbox.soon();
    return { ...appointment, status: 'cancelled' };
  }

  /**
   * Moves a confirmed appointment to another free slot of the practice.
   * @throws AppointmentUnknown, AppointmentForeign, AppointmentNotConfirmed, SlotTaken, SlotPast, SlotUnknown, SlotForeign
   */
  @Transactional()
  async reschedule(caller: Caller, appointmentId: string, { slotId }: RescheduleAppointment): Promise<Appointment> {
    const appointment = await this.confirmed(caller, appointmentId);
    if (appointment.slotId === slotId) return appointment;
    const moved = await this.repository.move(practiceOf(caller), appointment, slotId, this.eventNames());
    if (!moved) throw await this.reason(caller, slotId, appointment.patientId);
    this.outbox.soon();
    return { ...appointment, ...moved, slotId };
  }

  private async unknownOrForeign(appointmentId: string): Promise<AppointmentUnknown | AppointmentForeign> {
    const owner = await this.repository.practiceOf(appointmentId);
    return owner === undefined ? new AppointmentUnknown(appointmentId) : new AppointmentForeign(appointmentId, owner);
  }

  private async confirmed(caller: Caller, appointmentId: string): Promise<Appointment> {
    const appointment = await this.repository.lock(practiceOf(caller), appointmentId);
    if (!appointment) throw await this.unknownOrForeign(appointmentId);
    own(caller, appointment);
    if (appointment.status !== 'confirmed') throw new AppointmentNotConfirmed(appointmentId, appointment.status);
    return appointment;
  }

  /** Why a slot could not be claimed; asked only after the fact, so that a booking that succeeds pays nothing for it. */
  private async reason(caller: Caller, slotId: string, patientId: string) {
    const practiceId = practiceOf(caller);
    const why = await this.repository.whyNotBooked(practiceId, slotId, patientId);
    if (!why.patientIsOurs) return this.patients.unknownOrForeign(caller, patientId);
    if (why.slotPractice === null) return new SlotUnknown(slotId);
    if (why.slotPractice !== practiceId) return new SlotForeign(slotId, why.slotPractice);
    if (why.slotStatus === 'available' && why.slotIsPast) return new SlotPast(slotId);
    return new SlotTaken(slotId);
  }

  private eventNames(): EventNames {
    const { current } = this.context;
    if (!current) throw new Error('A booking needs the context of a request');
    return { eventId: newId('evt'), correlationId: current.correlationId, traceparent: current.traceparent };
  }
}

const foreignSlot = ({ id }: Slot, ownerPractice: string) => new SlotForeign(id, ownerPractice);

const foreign = ({ appointmentId }: Appointment, ownerPractice: string) =>
  new AppointmentForeign(appointmentId, ownerPractice);

function own(caller: Caller, appointment: Appointment): Appointment {
  ownRows(caller, [appointment], foreign);
  return appointment;
}
