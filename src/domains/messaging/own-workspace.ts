/** A row that says whose it is. */
interface WorkspaceRow {
  readonly workspace_id: string;
}

/**
 * The wall between a query and the answer: passes on rows of the caller's workspace alone. A row of another one means that
 * the query forgot its filter and that row-level security stands open; nothing of what was read then leaves.
 * @throws Error where a row is another workspace's
 */
export function ownWorkspace<Row extends WorkspaceRow>(workspaceId: string, rows: readonly Row[]): readonly Row[] {
  if (rows.some((row) => row.workspace_id !== workspaceId)) throw new Error('A query gave rows of another workspace');
  return rows;
}
