import { auditPermissions } from './domains/audit';
import { bookingPermissions } from './domains/bookings';
import { patientPermissions } from './domains/patients';
import type { Role } from './policy';

/** What the roles of a practice may do, of all domains. */
export const permissions: Readonly<Record<string, readonly Role[]>> = {
  ...patientPermissions,
  ...bookingPermissions,
  ...auditPermissions,
};

/** The roles of a practice, in the order of the document's columns. */
const practiceRoles: readonly Role[] = ['scheduling_agent', 'provider', 'practice_admin', 'security_officer'];

/** The text of docs/permissions.md. A test compares it with the file. */
export function permissionsDocument(): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const widths = ['action', ...practiceRoles].map((title, column) =>
    Math.max(title.length, ...Object.keys(permissions).map((action) => (column === 0 ? action.length + 2 : 3))),
  );
  const padded = (cells: readonly string[]) => row(cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)));
  const rows = Object.entries(permissions).map(([action, roles]) =>
    padded([`\`${action}\``, ...practiceRoles.map((role) => (roles.includes(role) ? 'yes' : ''))]),
  );
  return [
    '# Who may do what in a practice',
    '',
    'Printed by `npm run permissions` from the `*.permissions.ts` of the domains, which the routes read. All of it is within the',
    'caller’s own practice; a role that is not here may do none of it.',
    '',
    padded(['action', ...practiceRoles]),
    row(widths.map((width) => '-'.repeat(width))),
    ...rows,
    '',
  ].join('\n');
}
