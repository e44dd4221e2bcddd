import type { Role } from '../../policy';

/** Who may do what with patients: the routes read it, and docs/permissions.md is printed from it. */
export const patientPermissions = {
  'patients.read': ['scheduling_agent', 'provider', 'practice_admin'],
  'patients.search': ['scheduling_agent', 'provider', 'practice_admin'],
  'patients.create': ['scheduling_agent', 'practice_admin'],
  'patients.update': ['scheduling_agent', 'provider', 'practice_admin'],
  'patients.appointments': ['scheduling_agent', 'provider', 'practice_admin'],
} as const satisfies Record<string, readonly Role[]>;
