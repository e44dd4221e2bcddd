import { Module } from '@nestjs/common';
import { AuditController } from './audit.controller';
import { AuditRepository } from './audit.repository';
import { AuditService } from './audit.service';

/** What a practice's security officer sees of the audit log. */
@Module({ controllers: [AuditController], providers: [AuditService, AuditRepository] })
export class AuditLogModule {}
