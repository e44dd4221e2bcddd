/** A patient as the domain shows one. */
export interface Patient {
  readonly id: string;
  /** Whose it is; checked against the caller, and in no answer. */
  readonly practiceId: string;
  readonly firstName: string;
  readonly lastName: string;
  /** `YYYY-MM-DD` */
  readonly dateOfBirth: string;
  readonly phone: string | null;
  readonly email: string | null;
  readonly insuranceProvider: string | null;
  /** Start of the next confirmed appointment, RFC 3339. */
  readonly nextAppointment: string | null;
  /** Start of the last appointment that lies in the past, RFC 3339. */
  readonly lastVisit: string | null;
}

/** What can be written of a patient; null clears a field. */
export interface PatientFields {
  readonly firstName?: string;
  readonly lastName?: string;
  /** `YYYY-MM-DD` */
  readonly dateOfBirth?: string;
  readonly phone?: string | null;
  readonly email?: string | null;
  readonly insuranceProvider?: string | null;
  /** Nine digits. Encrypted at rest; never read back by a route. */
  readonly ssn?: string | null;
  /** As `ssn`. */
  readonly notes?: string | null;
}
