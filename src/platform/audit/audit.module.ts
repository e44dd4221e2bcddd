import { Module, type OnApplicationShutdown } from '@nestjs/common';
import { AuditAnchor } from './audit-anchor';
import { AuditConnections } from './audit-connections';
import { AuditIndex } from './audit-index';
import { AuditTrail } from './audit-trail';
import { AuditWriter } from './audit-writer';

/** The audit log: append-only, chained by hashes, one chain for each practice. */
@Module({ providers: [AuditConnections, AuditWriter, AuditTrail, AuditAnchor, AuditIndex], exports: [AuditTrail] })
export class AuditModule implements OnApplicationShutdown {
  constructor(
    private readonly trail: AuditTrail,
    private readonly anchor: AuditAnchor,
    private readonly index: AuditIndex,
    private readonly connections: AuditConnections,
  ) {}

  /** The last requests have been answered by now; what they left in the background is written and anchored. */
  async onApplicationShutdown(): Promise<void> {
    await this.trail.drained();
    try {
      await this.index.close();
      await this.anchor.close();
    } finally {
      await this.connections.close();
    }
  }
}
