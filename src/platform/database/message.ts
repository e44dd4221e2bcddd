import pg from 'pg';

/** A statement that goes with another in one message, and whose result nobody reads. */
export interface Companion {
  readonly name: string;
  readonly text: string;
  readonly values: readonly string[];
}

/** What goes in one message to Postgres, for one answer. */
export interface Message {
  /** What begins the transaction: where one of these fails, nothing may follow it on the connection. */
  readonly opening: readonly Companion[];
  readonly behind: readonly Companion[];
  /** With a name where prepared statements may be used. */
  readonly statement: pg.QueryConfig<unknown[]>;
  readonly thenCommit?: boolean;
  /** Told where something of the opening failed: the connection is closed then. */
  readonly onUnopened?: () => void;
}

/** What a transaction begins with: itself, the tenant whose rows it sees, and the promise to change none. */
export const begin = { name: 'gatehouse.begin', text: 'BEGIN', values: [] } as const;
export const enter = { name: 'gatehouse.enter', text: `SELECT set_config('gatehouse.tenant', $1, true)` } as const;
export const enterReading = {
  name: 'gatehouse.enter-reading',
  text: `SELECT set_config('gatehouse.tenant', $1, true), set_config('transaction_read_only', 'on', true)`,
} as const;
export const commit = { name: 'gatehouse.commit', text: 'COMMIT', values: [] } as const;

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
  /** Asks for the rows and ends the message. */
  _getRows(wire: Wire): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: { readonly text: string }, wire: Wire): void;
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

/** A statement and its companions. */
class AccompaniedQuery extends DriverQuery {
  /** Commands of companions that stand before the statement and have not completed. */
  private toCome: number;
  private statementIsDone = false;

  constructor(
    private readonly sent: Message,
    callback: Callback,
  ) {
    super({ ...sent.statement, queryMode: 'extended' }, callback);
    this.toCome = sent.opening.length + sent.behind.length;
  }

  override prepare(wire: Wire): void {
    for (const companion of [...this.sent.opening, ...this.sent.behind]) this.sendCompanion(wire, companion);
    super.prepare(wire);
  }

  override _getRows(wire: Wire): void {
    if (this.sent.thenCommit) {
      wire.execute({});
      this.sendCompanion(wire, commit);
      wire.sync();
    } else {
      super._getRows(wire);
    }
  }

  override handleDataRow(message: unknown): void {
    if (this.toCome === 0) super.handleDataRow(message);
  }

  override handleCommandComplete(message: { readonly text: string }, wire: Wire): void {
    if (this.toCome > 0) this.toCome -= 1;
    else if (!this.statementIsDone) {
      this.statementIsDone = true;
      super.handleCommandComplete(message, wire);
    }
  }

  override handleError(error: Error, wire: Wire): void {
    if (this.toCome > this.sent.behind.length) {
      this.sent.onUnopened?.();
      wire.stream.destroy();
    }
    super.handleError(error, wire);
  }

  private sendCompanion(wire: Wire, companion: Companion): void {
    const { text, values } = companion;
    // The driver knows one statement a query: the others are prepared on their own, or unnamed.
    const statement = this.name === undefined ? undefined : preparedName(companion);
    if (statement === undefined) wire.parse({ name: undefined, text });
    wire.bind({ statement, values });
    wire.execute({});
  }
}

/** The driver keeps no account of these, so none may have the name of a statement that it prepared itself. */
const preparedName = ({ name }: Companion) => `with.${name}`;

/** The companions that each connection knows by name. */
const known = new WeakMap<pg.ClientBase, Set<string>>();

/** Makes a companion known to a connection, ahead of what needs it. Where that fails, so does what needs it, this time. */
function prepareOnce(client: pg.ClientBase, companion: Companion): void {
  const { text } = companion;
  const name = preparedName(companion);
  const names = known.get(client) ?? new Set();
  known.set(client, names);
  if (names.has(name)) return;
  names.add(name);
  const preparation = new Preparation({ name, text, queryMode: 'extended' }, (error) => {
    if (error) names.delete(name);
  });
  client.query(preparation as unknown as pg.Submittable);
}

/**
 * Sends a statement with its companions, as one message with one answer. Without a transaction among them all of it is one
 * that ends with the statement, settings that are local to it included (Frontend/Backend Protocol, 54.2.3.1). Where one of
 * them fails, none that stands behind it runs.
 */
export function sendAccompanied<Row>(client: pg.ClientBase, message: Message): Promise<Row[]> {
  if (message.statement.name !== undefined) {
    for (const companion of message.opening) prepareOnce(client, companion);
    for (const companion of message.behind) prepareOnce(client, companion);
    if (message.thenCommit) prepareOnce(client, commit);
  }
  return new Promise((resolve, reject) => {
    const query = new AccompaniedQuery(message, (error, result) => {
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
