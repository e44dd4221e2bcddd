import type { Caller } from '../auth/caller';
import type { ForeignTenant } from '../errors/foreign-tenant';

/** A row that says whose it is. */
export interface OwnedRow {
  readonly practiceId: string;
}

/**
 * The wall between a query and the answer: passes on rows of the caller's practice alone. A row of another one means that
 * the query forgot its filter and that row-level security stands open; nothing of what was read then leaves.
 * @throws what `foreign` makes of the first row that is another practice's
 */
export function ownRows<Row extends OwnedRow>(
  caller: Caller,
  rows: Row[],
  foreign: (row: Row, ownerPractice: string) => ForeignTenant,
): Row[] {
  const stranger = rows.find(({ practiceId }) => practiceId !== caller.practiceId);
  if (stranger) throw foreign(stranger, stranger.practiceId);
  return rows;
}
