import { Module, type OnApplicationShutdown } from '@nestjs/common';
import { AuditConnections } from './audit-connections';
import { AuditTrail } from './audit-trail';
import { AuditWriter } from './audit-writer';

/** The audit log: append-only, chained by hashes, one chain for each practice. */
@Module({ providers: [AuditConnections, AuditWriter, AuditTrail], exports: [AuditTrail] })
export class AuditModule implements OnApplicationShutdown {
  constructor(
    private readonly trail: AuditTrail,
    private readonly connections: AuditConnections,
  ) {}

  /** The last requests have been answered by now; what they left in the background is written, then the connections close. */
  async onApplicationShutdown(): Promise<void> {
    await this.trail.drained();
    await this.connections.close();
  }
}
