import type pg from 'pg';
import type { WorkClass, WorkContext } from '../context';
import type { Connections } from './connections';
import { StatementCancelled, translate } from './database.errors';
import type { Sql, Statement } from './statement';

/** What a transaction is told when it begins. */
export interface TransactionOptions {
  /** The tenant whose rows it may see; `undefined` sees none. */
  readonly tenant: string | undefined;
  readonly workClass: WorkClass;
  /** Postgres refuses a change, and the result is not kept waiting for the end of the transaction. */
  readonly readOnly?: boolean | undefined;
  /** Where the deadline's cancellation is registered. */
  readonly context?: WorkContext | undefined;
}

/** Tenant identifiers stand in a statement's text, so their alphabet is closed. */
const tenantPattern = /^[A-Za-z0-9_.:-]{1,64}$/;

/**
 * One open transaction. Statements are pipelined: `BEGIN` and the tenant's setting travel with the first statement,
 * `COMMIT` may travel with the last, so a unit of work of one statement costs two round trips at most.
 */
export class Transaction implements Sql {
  private open = true;
  private broken = false;

  private constructor(
    private readonly client: pg.PoolClient,
    private readonly preparedStatements: boolean,
    private readonly opening: Promise<unknown>,
    private readonly context: WorkContext | undefined,
  ) {}

  /** Runs `work` in a transaction of its own: committed when it returns, rolled back when it throws. */
  static async run<Result>(
    connections: Connections,
    options: TransactionOptions,
    work: (transaction: Transaction) => Promise<Result>,
  ): Promise<Result> {
    const { context, workClass } = options;
    if (context?.expired) throw new StatementCancelled();
    const begin = beginText(options, connections);
    const client = await connections.take(workClass);
    if (context?.expired) {
      connections.give(client, workClass, false);
      throw new StatementCancelled();
    }
    const opening = client.query(begin);
    opening.catch(() => undefined); // seen again, and thrown, by the first statement and by the commit
    const transaction = new Transaction(client, connections.settings.preparedStatements, opening, context);
    const cancel = () => {
      // The cancellation may arrive after this transaction; the connection is given up, lest it hit somebody else's.
      transaction.broken = true;
      connections.cancel(client).catch(connections.settings.onBroken);
    };
    if (context) context.cancelStatement = cancel;
    try {
      const result = await work(transaction);
      if (options.readOnly) transaction.endReading();
      else await transaction.commit();
      return result;
    } catch (error) {
      await transaction.rollback();
      throw translate(error);
    } finally {
      if (context?.cancelStatement === cancel) context.cancelStatement = undefined;
      connections.give(client, workClass, transaction.broken);
    }
  }

  async query<Row>(statement: Statement<Row>, values: readonly unknown[] = []): Promise<Row[]> {
    if (!this.open) throw new Error(`"${statement.name}" was sent after its transaction had ended`);
    // Cancelling hits the statement that runs; what would come after it must not begin.
    if (this.context?.expired) throw new StatementCancelled();
    const result = await this.client.query<Row & pg.QueryResultRow>({
      ...(this.preparedStatements ? { name: statement.name } : {}),
      text: statement.text,
      values: values as unknown[],
    });
    return result.rows;
  }

  /** Sends `COMMIT` behind whatever was sent before and makes sure that Postgres did commit. */
  async commit(): Promise<void> {
    if (!this.open) return;
    if (this.context?.expired) throw new StatementCancelled();
    this.open = false;
    const [, committed] = await Promise.all([this.opening, this.client.query('COMMIT')]);
    // After a failed statement Postgres answers COMMIT with ROLLBACK, and no error.
    if (committed.command !== 'COMMIT')
      throw new Error('The transaction was rolled back: one of its statements failed');
  }

  /**
   * Ends a transaction that changed nothing, without waiting for it: what was read is here already. Whatever the connection
   * is used for next stands behind it.
   */
  endReading(): void {
    if (!this.open) return;
    this.open = false;
    // A failure here is a lost connection, which tells its owner itself.
    this.client.query('ROLLBACK').catch(() => undefined);
  }

  private async rollback(): Promise<void> {
    const wasOpen = this.open;
    this.open = false;
    try {
      await this.client.query('ROLLBACK');
    } catch {
      // The connection is gone, and the server rolls back by itself; what was thrown first is what the caller sees.
      this.broken = true;
    }
    if (!wasOpen) this.broken = true; // a commit that failed leaves the connection in doubt
  }
}

function beginText({ tenant, readOnly }: TransactionOptions, { settings }: Connections): string {
  const begin = readOnly ? 'BEGIN READ ONLY' : 'BEGIN';
  const limit = settings.preparedStatements ? '' : `; SET LOCAL statement_timeout = ${settings.statementTimeoutMs}`;
  if (tenant === undefined) return `${begin}${limit}`;
  if (!tenantPattern.test(tenant)) throw new Error('The tenant identifier has characters that none may have');
  return `${begin}; SET LOCAL gatehouse.tenant = '${tenant}'${limit}`;
}
