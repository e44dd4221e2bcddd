import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import {
  Audited,
  type Caller,
  CurrentCaller,
  noSubjects,
  pageOf,
  Reserved,
  Responds,
  Roles,
  Streams,
  Tenant,
} from '../../policy';
import { auditPermissions } from './audit.permissions';
import { AuditService } from './audit.service';
import { AuditEntryView, SearchAudit } from './dto/audit-entry.view';

@Controller('audit')
@Tenant('practice')
export class AuditController {
  constructor(private readonly audit: AuditService) {}

  @Get()
  @ApiOperation({ summary: 'Search the audit log' })
  @Roles(...auditPermissions['audit.search'])
  @Audited('audit.read', noSubjects)
  @Responds(200, pageOf(AuditEntryView))
  search(@CurrentCaller() caller: Caller, @Query() query: SearchAudit) {
    return this.audit.search(caller, query);
  }

  @Get('export')
  @ApiOperation({ summary: 'Export the audit log as NDJSON' })
  @Roles(...auditPermissions['audit.export'])
  @Audited('audit.export', noSubjects)
  @Reserved('bulk')
  @Streams(200, 'application/x-ndjson')
  export(@CurrentCaller() caller: Caller) {
    return this.audit.export(caller);
  }
}
