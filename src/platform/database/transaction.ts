import pg from 'pg';
import type { WorkClass, WorkContext } from '../context';
import type { Connections, ConnectionSettings } from './connections';
import { asError, DatabaseUnavailable, StatementCancelled, translate } from './database.errors';
import { begin, type Companion, enter, type Message, sendAccompanied } from './message';
import type { Sql, Statement } from './statement';

/** What a transaction is told when it begins. */
export interface TransactionOptions {
  /** The tenant whose rows it may see; `undefined` sees none. */
  readonly tenant: string | undefined;
  readonly workClass: WorkClass;
  /** Where the deadline's cancellation is registered. */
  readonly context?: WorkContext | undefined;
}

/**
 * One open transaction. What begins it travels with the first statement, `COMMIT` may travel with the last, so a unit of work
 * of one statement costs two round trips at most.
 */
export class Transaction implements Sql {
  private open = true;
  private begun = false;
  /** While Postgres has not answered what begins it: nothing may be sent that would run if it failed. */
  private beginning: Promise<unknown> | undefined;
  /** Whether Postgres has ended it, or has been told to. */
  private ended = false;
  /** While its end is on its way. */
  private ending: Promise<void> | undefined;
  /** Why it must not be committed although Postgres may know of no failure. */
  private failure: Error | undefined;
  private broken = false;

  private constructor(
    private readonly client: pg.PoolClient,
    private readonly preparedStatements: boolean,
    private readonly opening: readonly Companion[],
    private readonly options: TransactionOptions,
  ) {}

  /** Runs `work` in a transaction of its own: committed when it returns, rolled back when it throws. */
  static async run<Result>(
    connections: Connections,
    options: TransactionOptions,
    work: (transaction: Transaction) => Promise<Result>,
  ): Promise<Result> {
    const { context, workClass } = options;
    if (context?.expired) throw new StatementCancelled();
    const opening = openingOf(options, connections);
    const client = await connections.take(workClass);
    if (context?.expired) {
      connections.give(client, workClass, false);
      throw new StatementCancelled();
    }
    const transaction = new Transaction(client, connections.settings.preparedStatements, opening, options);
    const cancel = () => {
      // The cancellation may arrive after this transaction; the connection is given up, lest it hit somebody else's.
      transaction.broken = true;
      connections.cancel(client).catch(connections.settings.onBroken);
    };
    if (context) context.cancelStatement = cancel;
    try {
      const result = await work(transaction);
      if (!transaction.isOver) await transaction.commit();
      return result;
    } catch (error) {
      await transaction.rollback();
      throw translate(error);
    } finally {
      if (context?.cancelStatement === cancel) context.cancelStatement = undefined;
      if (!connections.settings.preparedStatements) await transaction.ending;
      connections.give(client, workClass, transaction.broken);
    }
  }

  /** @param behind what is sent before it in the same message */
  async query<Row>(
    statement: Statement<Row>,
    values: readonly unknown[] = [],
    behind: readonly Companion[] = [],
  ): Promise<Row[]> {
    this.assertOpen(statement);
    if (this.beginning) await this.begunWith(statement);
    return this.send<Row>({ statement, values, opening: this.takeOpening(), behind });
  }

  /**
   * Sends a statement and `COMMIT` in one message; it takes no further statement.
   * @throws what the statement does, or what another one did before: then nothing is committed
   */
  async queryAndCommit<Row>(statement: Statement<Row>, values: readonly unknown[]): Promise<Row[]> {
    this.assertOpen(statement);
    if (this.beginning) await this.begunWith(statement);
    if (this.failure) throw this.failure;
    this.open = false;
    const sent = { statement, values, opening: [] };
    try {
      // What goes in one message is one transaction by itself, and has committed when Postgres is ready for the next one.
      const rows = await (this.begun
        ? this.send<Row>({ behind: [], thenCommit: true, ...sent })
        : this.send<Row>({ behind: this.entering, ...sent }));
      this.ended = true;
      return rows;
    } catch (error) {
      this.failure ??= asError(error);
      throw error;
    }
  }

  /**
   * Sends `COMMIT` behind whatever was sent before and makes sure that Postgres did commit.
   * @throws whatever kept it from being committed
   */
  async commit(): Promise<void> {
    if (this.beginning) await this.beginning;
    if (this.failure) throw this.failure;
    if (!this.open) return;
    if (this.options.context?.expired) throw new StatementCancelled();
    this.open = false;
    if (!this.begun) return;
    const committed = await this.client.query('COMMIT');
    this.ended = true;
    // After a failed statement Postgres answers COMMIT with ROLLBACK, and no error.
    if (committed.command !== 'COMMIT')
      throw new Error('The transaction was rolled back: one of its statements failed');
  }

  /**
   * Ends a transaction that changed nothing, without waiting for it: what was read is here already. Whatever the connection
   * is used for next stands behind it; a pooler that keeps no account of statements would not stand that, and is waited for.
   */
  endReading(): void {
    if (!this.open) return;
    this.open = false;
    if (!this.begun) return;
    this.ended = true;
    // A failure here is a lost connection, which tells its owner itself.
    this.ending = this.client.query('ROLLBACK').then(
      () => undefined,
      () => undefined,
    );
  }

  /** Whether it was committed by its last statement. */
  private get isOver(): boolean {
    return !this.open && this.failure === undefined;
  }

  private async begunWith(statement: Statement<unknown>): Promise<void> {
    await this.beginning;
    this.assertOpen(statement);
  }

  private assertOpen({ name }: Statement<unknown>): void {
    if (!this.open) throw new Error(`"${name}" was sent after its transaction had ended`);
    // Cancelling hits the statement that runs; what would come after it must not begin.
    if (this.options.context?.expired) throw new StatementCancelled();
  }

  /** What tells Postgres of the tenant, without what begins a transaction. */
  private get entering(): readonly Companion[] {
    return this.opening.slice(1);
  }

  /** What the next message begins with. */
  private takeOpening(): readonly Companion[] {
    if (this.begun) return [];
    this.begun = true;
    return this.opening;
  }

  private async send<Row>(message: Omit<Message, 'preparedStatements' | 'onUnopened'>): Promise<Row[]> {
    const onUnopened = () => (this.broken = true);
    const { preparedStatements } = this;
    const answer = sendAccompanied<Row>(this.client, { preparedStatements, onUnopened, ...message });
    if (message.opening.length > 0) {
      const done = () => (this.beginning = undefined);
      this.beginning = answer.then(done, done);
    }
    try {
      return await answer;
    } catch (error) {
      const isAnswer = error instanceof pg.DatabaseError;
      if (!isAnswer || translate(error) instanceof DatabaseUnavailable) this.broken = true;
      if (!isAnswer) this.failure ??= asError(error); // Postgres may never have heard of it
      throw error;
    }
  }

  private async rollback(): Promise<void> {
    this.open = false;
    if (!this.begun || this.ended) return;
    try {
      await this.client.query('ROLLBACK');
    } catch {
      // The connection is gone, and the server rolls back by itself; what was thrown first is what the caller sees.
      this.broken = true;
    }
  }
}

function openingOf(options: TransactionOptions, { settings }: Connections): Companion[] {
  const entered = entering(options, settings);
  return options.tenant === undefined && settings.preparedStatements ? [begin] : [begin, entered];
}

/** What tells Postgres of the tenant whose rows the statements behind it see. */
export function entering(
  { tenant }: TransactionOptions,
  settings: ConnectionSettings,
  { name, text }: Omit<Companion, 'values'> = enter,
): Companion {
  const values = [tenant === undefined ? '' : signed(tenant, settings)];
  if (settings.preparedStatements) return { name, text, values };
  const limit = `, set_config('statement_timeout', $2, true)`;
  return { name, text: text + limit, values: [...values, String(settings.statementTimeoutMs)] };
}

function signed(tenant: string, { signer }: ConnectionSettings): string {
  if (!signer) throw new Error('These connections are of no tenant');
  return signer.sign(tenant);
}
