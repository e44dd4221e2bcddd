import { Injectable } from '@nestjs/common';
import { Clock } from '../../platform/config';
import { Context } from '../../platform/context';
import { ReadOnly, Transactional } from '../../platform/database';
import { newId } from '../../platform/identifiers';
import { OutboxWake } from '../../platform/outbox';
import { type Caller, invalid, keysOf, ownRows, type Page, pageFrom, practiceOf } from '../../policy';
import type { ListPatients } from './dto/list-patients.query';
import type { CreatePatient, UpdatePatient } from './dto/save-patient.dto';
import type { Patient, PatientFields } from './entities/patient.entity';
import { PatientForeign, PatientUnknown } from './patients.errors';
import { type EventNames, PatientsRepository } from './patients.repository';

/** The earliest time zone is 14 hours ahead of UTC: a day that has not begun there has begun nowhere. */
const earliestZoneMs = 14 * 3_600_000;

@Injectable()
export class PatientsService {
  constructor(
    private readonly repository: PatientsRepository,
    private readonly context: Context,
    private readonly outbox: OutboxWake,
    private readonly clock: Clock,
  ) {}

  /** @throws PatientUnknown, PatientForeign */
  @ReadOnly()
  async get(caller: Caller, patientId: string): Promise<Patient> {
    const practiceId = practiceOf(caller);
    const patient = await this.repository.find(practiceId, patientId);
    if (!patient) throw await this.unknownOrForeign(caller, patientId);
    return own(caller, patient);
  }

  /** Sorted by last name, first name, id. */
  @ReadOnly()
  async list(caller: Caller, { limit, cursor, ...filter }: ListPatients): Promise<Page<Patient>> {
    // The cursor holds the id alone: it stands in URLs, and a name there would be PHI in every proxy's log.
    const [afterId] = cursor === undefined ? [] : keysOf(cursor, 1);
    const rows = await this.repository.list(practiceOf(caller), filter, afterId, limit);
    return pageFrom(ownRows(caller, rows, foreign), limit, ({ id }) => [id]);
  }

  /**
   * Adds a patient to the caller's practice, and tells the outbox in the same transaction.
   * @throws PolicyRefusal 400 for a date of birth in the future
   */
  @Transactional()
  async create(caller: Caller, request: CreatePatient): Promise<Patient> {
    this.refuseFuture(request.dateOfBirth);
    const id = newId('pat');
    const practiceId = practiceOf(caller);
    await this.repository.create(practiceId, id, fieldsOf(request), this.eventNames());
    this.outbox.soon();
    const { firstName, lastName, dateOfBirth, phone = null, email = null, insuranceProvider = null } = request;
    const contact = { phone, email, insuranceProvider };
    return { id, practiceId, firstName, lastName, dateOfBirth, ...contact, nextAppointment: null, lastVisit: null };
  }

  /**
   * Changes what the request names, and tells the outbox in the same transaction.
   * @throws PatientUnknown, PatientForeign; PolicyRefusal 400 where nothing is named or the date of birth is in the future
   */
  @Transactional()
  async update(caller: Caller, patientId: string, request: UpdatePatient): Promise<Patient> {
    if (Object.keys(request).length === 0) throw invalid([{ path: '', message: 'must name at least one field' }]);
    this.refuseFuture(request.dateOfBirth);
    const patient = await this.repository.update(practiceOf(caller), patientId, fieldsOf(request), this.eventNames());
    if (!patient) throw await this.unknownOrForeign(caller, patientId);
    own(caller, patient);
    this.outbox.soon();
    return patient;
  }

  /** Says why a patient cannot be seen; one of another practice is recorded where it is thrown. Needs an open transaction. */
  async unknownOrForeign(caller: Caller, patientId: string): Promise<PatientUnknown | PatientForeign> {
    const owner = await this.repository.practiceOf(patientId);
    if (owner === undefined || owner === caller.practiceId) return new PatientUnknown(patientId);
    return new PatientForeign(patientId, owner);
  }

  private refuseFuture(dateOfBirth: string | undefined): void {
    const latest = new Date(this.clock.now() + earliestZoneMs).toISOString().slice(0, 'YYYY-MM-DD'.length);
    if (dateOfBirth === undefined || dateOfBirth <= latest) return;
    throw invalid([{ path: '/dateOfBirth', message: 'must not be in the future' }]);
  }

  private eventNames(): EventNames {
    const { current } = this.context;
    if (!current) throw new Error('A change of a patient needs the context of a request');
    return { eventId: newId('evt'), correlationId: current.correlationId, traceparent: current.traceparent };
  }
}

const foreign = ({ id }: Patient, ownerPractice: string) => new PatientForeign(id, ownerPractice);

function own(caller: Caller, patient: Patient): Patient {
  ownRows(caller, [patient], foreign);
  return patient;
}

/** What is stored has one form, however it was written. */
function fieldsOf({ ssn, ...fields }: CreatePatient | UpdatePatient): PatientFields {
  return { ...fields, ...(ssn !== undefined && { ssn: ssn?.replaceAll('-', '') ?? null }) };
}
