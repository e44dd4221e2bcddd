import { DomainError } from '../../policy';

/** A cursor or a time that looks like one and is none, such as a leap second that never was. */
export class AuditQueryInvalid extends DomainError {
  constructor(field: 'cursor' | 'from' | 'to') {
    super('audit_query_invalid', 'invalid', 'The search is invalid', { field });
  }
}
