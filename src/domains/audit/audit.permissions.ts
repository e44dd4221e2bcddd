import type { Role } from '../../policy';

/** Who may do what with the audit log: the routes read it, and docs/permissions.md is printed from it. */
export const auditPermissions = {
  'audit.search': ['security_officer'],
  'audit.export': ['security_officer'],
} as const satisfies Record<string, readonly Role[]>;
