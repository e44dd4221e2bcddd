/** What kind of "no" a domain says; `policy/errors` alone knows the HTTP status of each. */
export type DomainErrorKind = 'invalid' | 'forbidden' | 'not_found' | 'conflict' | 'gone' | 'unavailable';

/** An expected failure of a domain: coded, without HTTP, safe to show to the client. */
export abstract class DomainError extends Error {
  constructor(
    /** Stable and machine-readable, `snake_case`. */
    readonly code: string,
    readonly kind: DomainErrorKind,
    /** The short text a person reads. */
    readonly title: string,
    /** Identifiers the client already knows, repeated for its convenience. */
    readonly details: Readonly<Record<string, string | number>> = {},
  ) {
    super(title);
  }
}
