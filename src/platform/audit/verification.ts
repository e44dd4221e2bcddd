export { anchorFileOf } from './anchor-file';
export { type AuditReport, verifyAudit } from './verify';
