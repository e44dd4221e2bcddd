import pg from 'pg';

/** What goes before a statement in the same message to Postgres, one answer for all of it. */
export interface Opening {
  readonly name: string;
  readonly text: string;
  readonly values: readonly string[];
}

/** What a transaction begins with: itself, the tenant whose rows it sees, and the promise to change none. */
export const begin = { name: 'gatehouse.begin', text: 'BEGIN', values: [] } as const;
export const enter = { name: 'gatehouse.enter', text: `SELECT set_config('gatehouse.tenant', $1, true)` } as const;
export const enterReading = {
  name: 'gatehouse.enter-reading',
  text: `SELECT set_config('gatehouse.tenant', $1, true), set_config('transaction_read_only', 'on', true)`,
} as const;

/** What the driver's connection can do beyond its published types (Frontend/Backend Protocol, 54.2.3). */
interface Wire {
  readonly stream: { destroy(): void };
  parse(statement: { name: string | undefined; text: string }): void;
  bind(statement: { statement: string | undefined; values: readonly string[] }): void;
  execute(portal: object): void;
  sync(): void;
}

/** What the driver's query does beyond its published types. */
interface DriverQuery {
  readonly name: string | undefined;
  readonly text: string;
  prepare(wire: Wire): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, wire: Wire): void;
  handleError(error: Error, wire: Wire): void;
}

type Config = pg.QueryConfig<unknown[]> & { queryMode: 'extended' };
type Callback = (error: Error | null, result: pg.QueryResult) => void;

const DriverQuery = pg.Query as unknown as new (config: Config, callback: Callback) => DriverQuery;

/** Only makes a prepared statement known to a connection. */
class Preparation extends DriverQuery {
  override prepare(wire: Wire): void {
    wire.parse({ name: this.name, text: this.text });
    wire.sync();
  }
}

/** A statement behind others that it is sent with, whose results nobody reads. */
class OpenedQuery extends DriverQuery {
  private toOpen: number;

  constructor(
    config: Config,
    private readonly openings: readonly Opening[],
    callback: Callback,
  ) {
    super(config, callback);
    this.toOpen = openings.length;
  }

  override prepare(wire: Wire): void {
    for (const { name, text, values } of this.openings) {
      // The driver knows one statement a query: those that go before it are prepared when the connection is made, or unnamed.
      const statement = this.name === undefined ? undefined : name;
      if (statement === undefined) wire.parse({ name: undefined, text });
      wire.bind({ statement, values });
      wire.execute({});
    }
    super.prepare(wire);
  }

  override handleDataRow(message: unknown): void {
    if (this.toOpen === 0) super.handleDataRow(message);
  }

  override handleCommandComplete(message: unknown, wire: Wire): void {
    if (this.toOpen === 0) super.handleCommandComplete(message, wire);
    else this.toOpen -= 1;
  }

  /** Where one that goes before failed, nothing may follow it on this connection: it would run as it was not meant to. */
  override handleError(error: Error, wire: Wire): void {
    if (this.toOpen > 0) wire.stream.destroy();
    super.handleError(error, wire);
  }
}

/** Makes all openings known to a new connection, ahead of whatever it is used for. Where that fails, so does what needs them. */
export function prepareOpenings(client: pg.ClientBase): void {
  for (const { name, text } of [begin, enter, enterReading]) {
    client.query(new Preparation({ name, text, queryMode: 'extended' }, () => undefined) as unknown as pg.Submittable);
  }
}

/**
 * Sends a statement behind its openings, as one message with one answer. Without a transaction among them all of it is one
 * that ends with the statement, settings that are local to it included (Frontend/Backend Protocol, 54.2.3.1).
 * @param statement with a name where prepared statements may be used; then the openings' names are known to the connection
 */
export function queryOpened<Row>(
  client: pg.ClientBase,
  openings: readonly Opening[],
  statement: pg.QueryConfig<unknown[]>,
): Promise<Row[]> {
  return new Promise((resolve, reject) => {
    const query = new OpenedQuery({ ...statement, queryMode: 'extended' }, openings, (error, result) => {
      if (error) {
        Error.captureStackTrace(error); // else it leads to the socket that read it
        reject(error);
      } else {
        resolve(result.rows as Row[]);
      }
    });
    client.query(query as unknown as pg.Submittable);
  });
}
