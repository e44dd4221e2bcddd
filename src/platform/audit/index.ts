export { AuditTrail } from './audit-trail';
export { AuditUnavailable } from './audit.errors';
export { AuditModule } from './audit.module';
export {
  type AuditDetail,
  type AuditEntry,
  type AuditOutcome,
  auditOutcomes,
  crossPracticeCode,
  platformChain,
  spoken,
} from './entry';
export { recordProgram } from './program-entry';
