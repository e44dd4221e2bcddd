/** Whose data an operator's program is about. */
export interface Tenant {
  readonly kind: keyof typeof tenantHomes;
  readonly id: string;
}

/** The table in which each kind of tenant has its own row, under `id`. */
export const tenantHomes = { practice: 'practices', workspace: 'workspaces' } as const;

/** The tenant that a program's options name; `undefined` unless they name exactly one. */
export function tenantNamed({ practice, workspace }: { practice?: string; workspace?: string }): Tenant | undefined {
  if (practice !== undefined && workspace === undefined) return { kind: 'practice', id: practice };
  if (workspace !== undefined && practice === undefined) return { kind: 'workspace', id: workspace };
  return undefined;
}

/** A tenant in a sentence. */
export function nameOf({ kind, id }: Tenant): string {
  return `${kind} ${id}`;
}
