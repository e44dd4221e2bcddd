/** A patient as the domain sees one. */
export interface Patient {
  readonly id: string;
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
