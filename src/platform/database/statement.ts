declare const row: unique symbol;

/** A named SQL text; the name lets a connection keep it prepared. Its type says what rows it yields. */
export interface Statement<Row> {
  readonly name: string;
  readonly text: string;
  readonly [row]?: Row;
}

/**
 * Names a statement once, at load time.
 * @param name unique in the application, `<domain>.<what-it-does>`; Postgres keeps 63 bytes of it
 */
export function statement<Row = Record<string, never>>(name: string, text: string): Statement<Row> {
  if (Buffer.byteLength(name) > 63) throw new Error(`The statement name "${name}" is over 63 bytes`);
  return { name, text };
}

/** What a repository speaks to: one open transaction of one tenant. */
export interface Sql {
  /**
   * Sends a statement; several may be sent before the first is awaited, they run in order.
   * @throws DatabaseUnavailable when the connection is lost; the driver's `DatabaseError` for what Postgres refuses
   */
  query<Row>(statement: Statement<Row>, values?: readonly unknown[]): Promise<Row[]>;
}
