import type { Role } from '../../policy';

/** Who may do what with patients. The controllers read this table, and docs/permissions.md is printed from it. */
export const permissions = {
  'patients.read': ['scheduling_agent', 'provider', 'practice_admin'],
  'patients.search': ['scheduling_agent', 'provider', 'practice_admin'],
  'patients.create': ['scheduling_agent', 'practice_admin'],
  'patients.update': ['scheduling_agent', 'provider', 'practice_admin'],
  'patients.appointments': ['scheduling_agent', 'provider', 'practice_admin'],
} as const satisfies Record<string, readonly Role[]>;

export type PatientAction = keyof typeof permissions;

/** The roles that may do it, for `@Roles(...)`. */
export function rolesFor(action: PatientAction): readonly Role[] {
  return permissions[action];
}

/** The roles of a practice, in the order of the document's columns; one that may do nothing is shown as such. */
const practiceRoles: readonly Role[] = ['scheduling_agent', 'provider', 'practice_admin', 'security_officer'];

/** The text of docs/permissions.md. A test compares it with the file. */
export function permissionsDocument(): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const widths = ['action', ...practiceRoles].map((title, column) =>
    Math.max(title.length, ...Object.keys(permissions).map((action) => (column === 0 ? action.length + 2 : 3))),
  );
  const padded = (cells: readonly string[]) => row(cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)));
  const rows = Object.entries(permissions).map(([action, roles]: [string, readonly Role[]]) =>
    padded([`\`${action}\``, ...practiceRoles.map((role) => (roles.includes(role) ? 'yes' : ''))]),
  );
  return [
    '# Who may do what with patients',
    '',
    'Printed by `npm run permissions` from `src/domains/patients/patients.permissions.ts`, which the routes read. All of it is',
    'within the caller’s own practice; a role that is not here may do none of it.',
    '',
    padded(['action', ...practiceRoles]),
    row(widths.map((width) => '-'.repeat(width))),
    ...rows,
    '',
  ].join('\n');
}
