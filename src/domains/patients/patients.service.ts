import { Injectable } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { ReadOnly } from '../../platform/database';
import { Log, Metrics } from '../../platform/telemetry';
import { type Caller, keysOf, type Page, pageFrom, practiceOf } from '../../policy';
import type { ListPatients } from './dto/list-patients.query';
import type { Patient } from './entities/patient.entity';
import { PatientForeign, PatientUnknown } from './patients.errors';
import { PatientsRepository } from './patients.repository';

@Injectable()
export class PatientsService {
  private readonly crossPracticeAttempts: Counter;

  constructor(
    private readonly repository: PatientsRepository,
    private readonly log: Log,
    metrics: Metrics,
  ) {
    this.crossPracticeAttempts = metrics.counter(
      'cross_practice_access_attempts_total',
      'Requests for a patient of another practice; the threshold is zero',
    );
  }

  /** @throws PatientUnknown, PatientForeign */
  @ReadOnly()
  async get(caller: Caller, patientId: string): Promise<Patient> {
    const practiceId = practiceOf(caller);
    const patient = await this.repository.find(practiceId, patientId);
    if (!patient) throw await this.unknownOrForeign(caller, patientId);
    return patient;
  }

  @ReadOnly()
  async list(caller: Caller, { limit, cursor }: ListPatients): Promise<Page<Patient>> {
    // The cursor holds the id alone: it stands in URLs, and a name there would be PHI in every proxy's log.
    const [afterId = ''] = cursor === undefined ? [] : keysOf(cursor, 1);
    const rows = await this.repository.list(practiceOf(caller), afterId, limit);
    return pageFrom(rows, limit, ({ id }) => [id]);
  }

  /** Says why a patient cannot be seen, and counts it where it is another practice's. Needs an open transaction. */
  async unknownOrForeign(caller: Caller, patientId: string): Promise<PatientUnknown | PatientForeign> {
    const owner = await this.repository.practiceOf(patientId);
    if (owner === undefined || owner === caller.practiceId) return new PatientUnknown(patientId);
    this.crossPracticeAttempts.inc();
    this.log.warn(
      { actor: caller.userId, practice: caller.practiceId, ownerPractice: owner, patientId },
      'A patient of another practice was asked for',
    );
    return new PatientForeign();
  }
}
