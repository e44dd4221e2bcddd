export { AuditLogModule } from './audit.module';
export { auditPermissions } from './audit.permissions';
