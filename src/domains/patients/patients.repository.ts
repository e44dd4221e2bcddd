import { Injectable } from '@nestjs/common';
import { type Statement, UnitOfWork } from '../../platform/database';
import { FieldCipher } from '../../platform/secrets';
import type { Patient, PatientFields } from './entities/patient.entity';
import * as statements from './patients.statements';

/** What a list is asked for; all of it must apply. */
export interface PatientFilter {
  /** Words of the name, or a phone number. */
  readonly search?: string | undefined;
  readonly phone?: string | undefined;
  /** `YYYY-MM-DD` */
  readonly dateOfBirth?: string | undefined;
}

/** The names of the event that tells of a change. */
export interface EventNames {
  readonly eventId: string;
  readonly correlationId: string;
  readonly traceparent: string | undefined;
}

const columnOf: Readonly<Record<keyof PatientFields, string>> = {
  firstName: 'first_name',
  lastName: 'last_name',
  dateOfBirth: 'date_of_birth',
  phone: 'phone',
  email: 'email',
  insuranceProvider: 'insurance_provider',
  ssn: 'ssn_encrypted',
  notes: 'notes_encrypted',
};

@Injectable()
export class PatientsRepository {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly cipher: FieldCipher,
  ) {}

  async find(practiceId: string, patientId: string): Promise<Patient | undefined> {
    const [patient] = await this.unitOfWork.query(statements.one, [practiceId, patientId]);
    return patient;
  }

  /** Sorted by last name, first name, id; one row more than `limit` where there are more. */
  list(practiceId: string, filter: PatientFilter, afterId: string | undefined, limit: number): Promise<Patient[]> {
    const { pages, asked } = pagesOf(filter);
    const values = [practiceId, limit + 1, ...asked];
    const text: Statement<Patient> = afterId === undefined ? pages.first : pages.after;
    return this.unitOfWork.query(text, afterId === undefined ? values : [...values, afterId]);
  }

  /** Adds a patient and the event that tells of it. */
  async create(practiceId: string, patientId: string, fields: PatientFields, names: EventNames): Promise<void> {
    await this.unitOfWork.query(statements.create, this.change(practiceId, patientId, fields, names));
  }

  /** Changes the fields that are given, and adds the event; `undefined` where the practice has no such patient. */
  async update(
    practiceId: string,
    patientId: string,
    fields: PatientFields,
    names: EventNames,
  ): Promise<Patient | undefined> {
    const values = this.change(practiceId, patientId, fields, names);
    const [patient] = await this.unitOfWork.query(statements.update, values);
    return patient;
  }

  /** Which practice has this patient, whoever asks; nothing else of it. */
  async practiceOf(patientId: string): Promise<string | undefined> {
    const [row] = await this.unitOfWork.query(statements.practiceOf, [patientId]);
    return row?.practiceId ?? undefined;
  }

  private change(practiceId: string, patientId: string, fields: PatientFields, names: EventNames): unknown[] {
    const { eventId, correlationId, traceparent } = names;
    const given = Object.entries(fields) as [keyof PatientFields, string | null][];
    const columns = given.map(([field, value]) => {
      if (value === null || (field !== 'ssn' && field !== 'notes')) return [columnOf[field], value];
      const place = { table: 'patients', column: field, tenant: practiceId, row: patientId };
      return [columnOf[field], this.cipher.encrypt(place, value)];
    });
    return [
      practiceId,
      patientId,
      JSON.stringify(Object.fromEntries(columns)),
      JSON.stringify(given.map(([field]) => field)),
      eventId,
      correlationId,
      traceparent ?? null,
    ];
  }
}

/** Each kind of list has a statement of its own, so that each uses its own index. */
function pagesOf({ search, phone, dateOfBirth }: PatientFilter): { pages: statements.Pages; asked: unknown[] } {
  if (search !== undefined || phone !== undefined) {
    const words = [search ?? null, phone ?? null];
    if (dateOfBirth === undefined) return { pages: statements.search, asked: words };
    return { pages: statements.searchBornOn, asked: [...words, dateOfBirth] };
  }
  if (dateOfBirth !== undefined) return { pages: statements.bornOn, asked: [dateOfBirth] };
  return { pages: statements.list, asked: [] };
}
