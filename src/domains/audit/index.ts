export { AuditLogModule } from './audit.module';
