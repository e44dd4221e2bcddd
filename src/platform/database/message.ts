import type pg from 'pg';
import { exchange, type Part } from './exchange';
import type { Statement } from './statement';

/** A statement that goes with another in one message, and whose result nobody reads. */
export interface Companion {
  readonly name: string;
  readonly text: string;
  readonly values: readonly string[];
}

/**
 * What goes in one message to Postgres, for one answer. Whoever makes one of another spreads it last: an object that is spread
 * first and gets more properties has a shape of its own in V8, which is some hundred bytes among the old objects, for each.
 */
export interface Message {
  /** What begins the transaction: where one of these fails, nothing may follow it on the connection. */
  readonly opening: readonly Companion[];
  readonly behind: readonly Companion[];
  readonly statement: Statement<unknown>;
  readonly values: readonly unknown[];
  readonly thenCommit?: boolean;
  /** Whether the connection keeps statements prepared. */
  readonly preparedStatements: boolean;
  /** Told where something of the opening failed: the connection is closed then. */
  readonly onUnopened: () => void;
  /** After how long without an answer the connection is closed, in milliseconds. */
  readonly limitMs?: number;
}

const isSigned = `CASE WHEN $1 <> '' AND gatehouse_tenant() IS NULL THEN refuse_tenant() END`;
/**
 * What a transaction begins with: itself, the tenant whose rows it sees, and the promise to change none. Policies show nothing
 * to a tenant that nobody signed, and do not fail; that is asked here. What somebody may have changed for the session, and
 * Postgres does not report, is as it should be: values are not logged, commits are durable.
 */
export const begin = { name: 'gatehouse.begin', text: 'BEGIN', values: [] } as const;
export const enter = {
  name: 'gatehouse.enter',
  text: `SELECT set_config('gatehouse.tenant', $1, true), ${isSigned},
    set_config('log_parameter_max_length_on_error', '0', true), set_config('synchronous_commit', 'on', true)`,
} as const;
export const enterReading = {
  name: 'gatehouse.enter-reading',
  text: `SELECT set_config('gatehouse.tenant', $1, true), ${isSigned},
    set_config('log_parameter_max_length_on_error', '0', true), set_config('transaction_read_only', 'on', true)`,
} as const;
/** What ends one: a cursor that is kept past it runs then, and would see what belongs to the last tenant of it. */
export const leave = {
  name: 'gatehouse.leave',
  text: `SELECT set_config('gatehouse.tenant', '', true), set_config('synchronous_commit', 'on', true)`,
} as const;
/**
 * What stands before each change of a joint transaction: as `enter`, and what waits for a lock for longer than others should wait
 * for it is given up. What one of the others may have changed until the end, which Postgres does not report then, is as it was.
 */
export const enteringJointly = ({ name, text, values }: Companion): Companion => ({
  name: `${name}-jointly`,
  text: `${text}, set_config('lock_timeout', '50ms', true), set_config('client_encoding', 'UTF8', true),
    set_config('DateStyle', 'ISO, MDY', true)`,
  values,
});
const commit = { name: 'gatehouse.commit', text: 'COMMIT', values: [] } as const;

/**
 * Sends a statement with its companions, as one message with one answer. Without a transaction among them all of it is one
 * that ends with the message, settings that are local to it included (Frontend/Backend Protocol, 54.2.3.1). Where one of
 * them fails, none that stands behind it runs.
 */
export async function sendAccompanied<Row>(client: pg.ClientBase, message: Message): Promise<Row[]> {
  const { opening, behind, statement, values, thenCommit, preparedStatements, onUnopened, limitMs } = message;
  const parts: Part[] = [];
  for (const companion of opening) parts.push(partOf(companion, companion.values, false, preparedStatements));
  for (const companion of behind) parts.push(partOf(companion, companion.values, false, preparedStatements));
  parts.push(partOf(statement, values, true, preparedStatements));
  if (thenCommit) parts.push(partOf(commit, commit.values, false, preparedStatements));
  const within = limitMs === undefined ? {} : { limitMs };
  const found = await exchange(client, { parts, opening: { count: opening.length, onFailure: onUnopened }, ...within });
  return (found[opening.length + behind.length] ?? []) as Row[];
}

/** @param reads whether its rows are wanted */
export function partOf(
  { name, text }: Statement<unknown>,
  values: readonly unknown[],
  reads: boolean,
  preparedStatements: boolean,
): Part {
  return { name: preparedStatements ? name : undefined, text, values, reads };
}
