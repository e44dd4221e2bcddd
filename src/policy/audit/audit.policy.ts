import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../platform/database';
import { DomainError } from '../errors/domain-error';
import type { AroundPolicy, Passage } from '../pipeline/around';
import { AuditRecord } from './audit-record';
import type { Audit } from './audited.decorator';

/**
 * Records the use of an audited route, durably, before anything comes of it. Innermost, since only the handler's own
 * result names all subjects. Without an entry there is no answer (503) and no change.
 */
@Injectable()
export class AuditPolicy implements AroundPolicy {
  constructor(
    private readonly record: AuditRecord,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  around(passage: Passage, next: () => Promise<unknown>): Promise<unknown> {
    const { audited } = passage.route;
    return audited ? this.recorded(passage, audited, next) : next();
  }

  private async recorded(passage: Passage, audit: Audit, next: () => Promise<unknown>): Promise<unknown> {
    if (audit.knownBy === 'request') await this.record.allowed(passage, audit, passage.request);
    try {
      if (audit.knownBy === 'request') return await next();
      const { method } = passage.route;
      // A reading's transaction ends first: nothing is gained by holding its connection while the entry is written.
      if (method === 'GET') return await this.thenRecorded(passage, audit, next);
      return await this.unitOfWork.run(() => this.thenRecorded(passage, audit, next));
    } catch (error) {
      if (error instanceof DomainError && error.kind !== 'forbidden') await this.record.failed(passage, audit, error);
      throw error;
    }
  }

  /** A crash after the entry leaves one of a change that was rolled back: the permission was used all the same. */
  private async thenRecorded(passage: Passage, audit: Audit, next: () => Promise<unknown>): Promise<unknown> {
    const result = await next();
    await this.record.allowed(passage, audit, result);
    return result;
  }
}
