import { DomainError, ForeignTenant } from '../../policy';

/** No practice has a patient of this id. */
export class PatientUnknown extends DomainError {
  constructor(patientId: string) {
    super('patient_unknown', 'not_found', 'Patient not found', { patientId });
  }
}

/** The patient is another practice's; the answer says no more than that the caller may not. */
export class PatientForeign extends ForeignTenant {
  constructor(patientId: string, ownerPractice: string) {
    super('patient', patientId, ownerPractice);
  }
}
