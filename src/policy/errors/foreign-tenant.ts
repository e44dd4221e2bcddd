import { DomainError } from './domain-error';

/**
 * What was asked for is another practice's. The client is told no more than that it may not; the audit log, and whoever is
 * paged, are told which thing and whose.
 */
export abstract class ForeignTenant extends DomainError {
  protected constructor(
    /** Such as `patient`. */
    readonly subjectType: string,
    readonly subjectId: string,
    readonly ownerPractice: string,
  ) {
    super('forbidden', 'forbidden', 'Forbidden');
  }
}
