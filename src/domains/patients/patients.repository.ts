import { Injectable } from '@nestjs/common';
import { statement, UnitOfWork } from '../../platform/database';
import type { Patient } from './entities/patient.entity';

const columns = `
  p.id, p.first_name AS "firstName", p.last_name AS "lastName", p.date_of_birth::text AS "dateOfBirth",
  p.phone, p.email, p.insurance_provider AS "insuranceProvider",
  (SELECT to_char(min(s.starts_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') FROM appointments a
     JOIN slots s ON s.practice_id = a.practice_id AND s.id = a.slot_id
     WHERE a.practice_id = p.practice_id AND a.patient_id = p.id AND a.status = 'confirmed' AND s.starts_at > now()
  ) AS "nextAppointment",
  (SELECT to_char(max(s.starts_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') FROM appointments a
     JOIN slots s ON s.practice_id = a.practice_id AND s.id = a.slot_id
     WHERE a.practice_id = p.practice_id AND a.patient_id = p.id AND a.status <> 'cancelled' AND s.starts_at <= now()
  ) AS "lastVisit"`;

const one = statement<Patient>(
  'patients.one',
  `SELECT ${columns} FROM patients p WHERE p.practice_id = $1 AND p.id = $2`,
);

const list = statement<Patient>(
  'patients.list',
  `SELECT ${columns} FROM patients p
   WHERE p.practice_id = $1 AND ($2 = '' OR (p.last_name, p.first_name, p.id) > (
     SELECT last_name, first_name, id FROM patients WHERE practice_id = $1 AND id = $2))
   ORDER BY p.last_name, p.first_name, p.id LIMIT $3`,
);

const practiceOf = statement<{ practiceId: string | null }>(
  'patients.practice-of',
  `SELECT practice_of_patient($1) AS "practiceId"`,
);

@Injectable()
export class PatientsRepository {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  async find(practiceId: string, patientId: string): Promise<Patient | undefined> {
    const [patient] = await this.unitOfWork.query(one, [practiceId, patientId]);
    return patient;
  }

  /** Sorted by last name, first name, id; one row more than `limit` where there are more. */
  list(practiceId: string, afterId: string, limit: number): Promise<Patient[]> {
    return this.unitOfWork.query(list, [practiceId, afterId, limit + 1]);
  }

  /** Which practice has this patient, whoever asks; nothing else of it. */
  async practiceOf(patientId: string): Promise<string | undefined> {
    const [row] = await this.unitOfWork.query(practiceOf, [patientId]);
    return row?.practiceId ?? undefined;
  }
}
