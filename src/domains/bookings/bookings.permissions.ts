import type { Role } from '../../policy';

/** Who may do what with appointments: the routes read it, and docs/permissions.md is printed from it. */
export const bookingPermissions = {
  'appointments.book': ['scheduling_agent', 'practice_admin'],
  'appointments.list': ['scheduling_agent', 'provider', 'practice_admin'],
  'appointments.read': ['scheduling_agent', 'provider', 'practice_admin'],
  'appointments.cancel': ['scheduling_agent', 'practice_admin'],
  'appointments.reschedule': ['scheduling_agent', 'practice_admin'],
  'slots.list': ['scheduling_agent', 'provider', 'practice_admin'],
} as const satisfies Record<string, readonly Role[]>;
