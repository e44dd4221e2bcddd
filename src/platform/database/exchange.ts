import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { prepareValue } from 'pg/lib/utils';
import { serialize } from 'pg-protocol';
import { asError, DatabaseUnavailable } from './database.errors';
import { type Column, Rows } from './rows';

/** One statement of a message. */
export interface Part {
  /** By which the connection keeps it prepared; without one it is parsed anew. */
  readonly name: string | undefined;
  readonly text: string;
  readonly values: readonly unknown[];
  /** Whether its rows are wanted. */
  readonly reads: boolean;
}

/** Statements that go in one message, for one answer: where one fails, none behind it runs. */
export interface Exchange {
  readonly parts: readonly Part[];
  /** Told where one of the first so many fails; the connection is closed then, lest something follow that relies on them. */
  readonly opening?: { readonly count: number; readonly onFailure: () => void };
  /** Told which part Postgres refused; as many as there are, where it was the end. */
  readonly onRefused?: (part: number) => void;
  /** After how long without an answer the connection is closed, in milliseconds: a server that is gone says nothing. */
  readonly limitMs?: number;
}

/** What the driver's connection can do beyond its published types. */
interface Wire {
  readonly stream: {
    readonly writable: boolean;
    readonly destroyed: boolean;
    write(bytes: Buffer): void;
    destroy(): void;
  };
}

/** What the driver calls a query's answer with, beyond its published types. */
interface DriverQuery {
  /** Set by the driver where it watches over the time of a query. */
  callback: ((error: Error | null) => void) | undefined;
  submit(wire: Wire): Error | null;
  handleRowDescription(message: { readonly fields: readonly Column[] }): void;
  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void;
  handleCommandComplete(message: { readonly text: string }, wire: Wire): void;
  handleReadyForQuery(wire: Wire): void;
  handleError(error: Error, wire: Wire): void;
}

/** A driver that pipelines takes its own queries alone. The text is not sent. */
const DriverQuery = pg.Query as unknown as new (text: string) => DriverQuery;

/** What a connection knows of a statement by its name. */
interface Prepared {
  readonly text: string;
  /** Its name on this connection. */
  readonly wireName: string;
  /** Whether it may not have been prepared after all: what stood with it failed. */
  isUncertain: boolean;
  /** How its rows are read: as long as it is prepared, they have the same columns. `undefined` while that was not told. */
  rows: Rows | undefined;
}

/**
 * The statements of a connection, by our names. On the connection they have names that nobody can guess: SQL that somebody
 * smuggles in could otherwise prepare another statement under one of them, which the next tenant would run.
 */
class PreparedStatements {
  readonly byName = new Map<string, Prepared>();
  private readonly secret = randomBytes(16).toString('base64url');

  add(name: string, text: string): Prepared {
    // At most 63 bytes, by which Postgres knows it.
    const wireName = this.byName.get(name)?.wireName ?? `${this.secret}${this.byName.size}`;
    const prepared = { text, wireName, isUncertain: false, rows: undefined };
    this.byName.set(name, prepared);
    return prepared;
  }
}

const known = new WeakMap<Wire, PreparedStatements>();

/** What begins or ends a transaction, in which others' statements may stand. */
const transactionControl = /^(BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PREPARE TRANSACTION)/;
/** There is no prepared statement of that name: somebody deallocated it. */
const unknownStatement = '26000';

const noRows = new Rows([]);

/** An exchange on its way (Frontend/Backend Protocol, 54.2.3). */
class ExchangeQuery extends DriverQuery {
  private readonly found: Record<string, unknown>[][];
  /** Which part the next part of the answer belongs to. */
  private at = 0;
  private rows: Rows | undefined;
  private unreadable: Error | undefined;
  /** By part, what the connection knows of it; `undefined` where it has no name. */
  private prepared: readonly (Prepared | undefined)[] = [];
  /** Those that are prepared with this message. */
  private readonly fresh: Prepared[] = [];
  private isSent = false;
  private limit: NodeJS.Timeout | undefined;

  constructor(
    private readonly exchange: Exchange,
    private readonly resolve: (found: Record<string, unknown>[][]) => void,
    private readonly reject: (error: Error) => void,
  ) {
    super('');
    this.found = exchange.parts.map(() => []);
  }

  override submit(wire: Wire): Error | null {
    try {
      const bytes = this.bytesFor(wire);
      if (wire.stream.writable) wire.stream.write(bytes);
      this.isSent = true;
      const { limitMs } = this.exchange;
      if (limitMs !== undefined) this.limit = setTimeout(() => wire.stream.destroy(), limitMs);
      return null;
    } catch (error) {
      this.doubt();
      return asError(error);
    }
  }

  override handleRowDescription({ fields }: { readonly fields: readonly Column[] }): void {
    this.rows = new Rows(fields);
    const prepared = this.prepared[this.at];
    if (prepared) prepared.rows = this.rows;
  }

  override handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    if (this.unreadable || !this.exchange.parts[this.at]?.reads) return;
    try {
      this.rows ??= this.prepared[this.at]?.rows;
      if (!this.rows) throw new Error('A row came before its columns');
      this.found[this.at]?.push(this.rows.read(fields));
    } catch (error) {
      this.unreadable = asError(error);
    }
  }

  override handleCommandComplete({ text }: { readonly text: string }, wire: Wire): void {
    const prepared = this.prepared[this.at];
    if (this.exchange.parts[this.at]?.reads) {
      if (prepared) prepared.rows ??= noRows;
      if (transactionControl.test(text)) {
        // Whether what stands before or behind it is committed, nobody knows any more.
        this.unreadable ??= new Error(`A statement ended with ${text}: transactions are not its to begin or to end`);
        wire.stream.destroy();
      }
    }
    this.rows = undefined;
    this.at += 1;
  }

  override handleReadyForQuery({ stream }: Wire): void {
    // The driver passes on what it had read when the connection was closed.
    if (stream.destroyed) this.unreadable ??= new DatabaseUnavailable(new Error('The connection was closed'));
    this.end(this.unreadable);
    if (this.unreadable) this.reject(this.unreadable);
    else this.resolve(this.found);
  }

  override handleError(error: Error, wire: Wire): void {
    this.end(error);
    this.doubt();
    const { opening, onRefused } = this.exchange;
    if (error instanceof pg.DatabaseError) {
      onRefused?.(this.at);
      const prepared = this.prepared[this.at];
      if (prepared && error.code === unknownStatement) prepared.isUncertain = true;
    }
    if (opening && this.isSent && this.at < opening.count) {
      opening.onFailure();
      wire.stream.destroy();
    }
    Error.captureStackTrace(error); // else it leads to the socket that read it
    this.reject(error);
  }

  private end(error: Error | undefined): void {
    clearTimeout(this.limit);
    this.callback?.(error ?? null);
  }

  private bytesFor(wire: Wire): Buffer {
    const statements = known.get(wire) ?? new PreparedStatements();
    known.set(wire, statements);
    const bytes: Buffer[] = [];
    const prepared: (Prepared | undefined)[] = [];
    for (const part of this.exchange.parts) {
      const { values, reads } = part;
      const it = this.prepare(part, statements, bytes);
      prepared.push(it);
      const statement = it?.wireName;
      bytes.push(serialize.bind({ statement, values: values as unknown[], valueMapper: prepareValue }));
      if (reads && !it?.rows) bytes.push(describe);
      bytes.push(execute);
    }
    bytes.push(serialize.sync());
    this.prepared = prepared;
    return Buffer.concat(bytes);
  }

  private prepare(part: Part, statements: PreparedStatements, bytes: Buffer[]): Prepared | undefined {
    const { name, text } = part;
    if (name === undefined) {
      bytes.push(serialize.parse({ text }));
      return undefined;
    }
    const before = statements.byName.get(name);
    if (before && before.text !== text) throw new Error(`There are two statements with the name "${name}"`);
    if (before && !before.isUncertain) return before;
    if (before) bytes.push(serialize.close({ type: 'S', name: before.wireName }));
    const prepared = statements.add(name, text);
    bytes.push(serialize.parse({ name: prepared.wireName, text }));
    this.fresh.push(prepared);
    return prepared;
  }

  private doubt(): void {
    for (const prepared of this.fresh) prepared.isUncertain = true;
  }
}

const describe = serialize.describe({ type: 'P' });
const execute = serialize.execute();

/** Sends the parts and gives the rows of each. What is sent meanwhile stands behind it. */
export function exchange(client: pg.ClientBase, message: Exchange): Promise<Record<string, unknown>[][]> {
  return new Promise((resolve, reject) => {
    client.query(new ExchangeQuery(message, resolve, reject) as unknown as pg.Submittable);
  });
}
