import { DomainError } from '../../policy';

/** No practice has a patient of this id. */
export class PatientUnknown extends DomainError {
  constructor(patientId: string) {
    super('patient_unknown', 'not_found', 'Patient not found', { patientId });
  }
}

/** The patient is another practice's; the answer says no more than that the caller may not. */
export class PatientForeign extends DomainError {
  constructor() {
    super('forbidden', 'forbidden', 'Forbidden');
  }
}
