import { Inject, Injectable } from '@nestjs/common';
import pg from 'pg';
import { connectionWaitMs, type Connections, RUNTIME_CONNECTIONS } from './connections';
import { asError, DatabaseBusy, DatabaseUnavailable, StatementCancelled } from './database.errors';
import { exchange, type Part } from './exchange';
import { type Companion, enteringJointly, leave, partOf } from './message';
import type { Statement } from './statement';
import { entering, Transaction, type TransactionOptions } from './transaction';

/** How many transactions are under way at once; more of them make each smaller, and Postgres slower. */
const lanes = 2;
/** How many changes share one. */
const mostInBatch = 8;
/** How many wait for one at most; and how many for a lock of which somebody waits by itself. */
const mostWaiting = 96;
const mostParked = 16;

/** What one request changes, by a statement that is all of its transaction. */
interface Change {
  readonly entry: Companion;
  readonly statement: Statement<unknown>;
  readonly values: readonly (string | null)[];
  readonly lock: string;
  readonly options: TransactionOptions;
  readonly resolve: (rows: unknown[]) => void;
  readonly reject: (error: unknown) => void;
  /** Refuses it when it has waited for a connection for too long. */
  timer: NodeJS.Timeout | undefined;
}

/**
 * Group commit: what several requests change while the lanes are taken goes in one message and one transaction, each part
 * under its own tenant. The message, the commit and the way to the disk are paid for once for all of them.
 *
 * A change that Postgres refuses, or that would wait for a lock for long, leaves its batch and is made in a transaction of its
 * own; the others are made without it. While that is under way, whatever needs the same lock waits for its end.
 */
@Injectable()
export class JointCommits {
  private readonly waiting: Change[] = [];
  /** By the lock of a change that is made by itself, those that wait for its end. */
  private readonly parked = new Map<string, Change[]>();
  /** Lanes that are taken, and those of them that have no connection yet. */
  private underWay = 0;
  private asking = 0;
  private scheduled = false;

  constructor(@Inject(RUNTIME_CONNECTIONS) private readonly connections: Connections) {}

  /**
   * Resolves with the statement's rows once what it changed is durable.
   * @param lock the first row that the statement locks. Batches lock in the order of these names, so that no two wait for
   * each other; a statement must lock nothing else of that kind
   * @throws DatabaseBusy when no connection becomes free within 3 s, or too much waits already; StatementCancelled when the
   * deadline passes while it waits; DatabaseUnavailable when the connection is lost, and it may have been made; the driver's
   * `DatabaseError` for what Postgres refuses
   */
  commit<Row>(
    statement: Statement<Row>,
    values: readonly (string | null)[],
    lock: string,
    options: TransactionOptions,
  ): Promise<Row[]> {
    return new Promise<unknown[]>((resolve, reject) => {
      const { context, workClass } = options;
      const entry = entering(options, this.connections.settings);
      const change: Change = { entry, statement, values, lock, options, resolve, reject, timer: undefined };
      if (context?.expired) throw new StatementCancelled();
      if (workClass !== 'standard') {
        void this.commitApart(change);
        return;
      }
      const parked = this.parked.get(lock);
      if (parked ? parked.length >= mostParked : this.waiting.length >= mostWaiting) throw new DatabaseBusy();
      if (!this.park(change)) this.wait(change);
      this.schedule();
    }) as Promise<Row[]>;
  }

  private wait(change: Change): void {
    change.timer = setTimeout(() => this.leave(change, new DatabaseBusy()), connectionWaitMs);
    this.mayLeave(change);
    this.waiting.push(change);
  }

  private mayLeave(change: Change): void {
    const { context } = change.options;
    if (context) context.cancelStatement = () => this.leave(change, new StatementCancelled());
  }

  /** Where another change with the same lock is made by itself. */
  private park(change: Change): boolean {
    const parked = this.parked.get(change.lock);
    if (!parked) return false;
    clearTimeout(change.timer);
    this.mayLeave(change);
    parked.push(change);
    return true;
  }

  /** Takes a change out that still waits. */
  private leave(change: Change, why: Error): void {
    clearTimeout(change.timer);
    const parked = this.parked.get(change.lock) ?? [];
    if (remove(parked, change) || remove(this.waiting, change)) change.reject(why);
  }

  /** In the next turn of the event loop, so that all requests that were read in this one share a batch. */
  private schedule(): void {
    if (this.scheduled || this.underWay >= lanes || this.waiting.length === 0) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      const wanted = Math.ceil(this.waiting.length / mostInBatch) - this.asking;
      for (let n = Math.min(wanted, lanes - this.underWay); n > 0; n -= 1) void this.takeLane();
    });
  }

  /** What waits for a connection may still leave, and whoever comes meanwhile shares it. */
  private async takeLane(): Promise<void> {
    this.underWay += 1;
    const client = await this.connect();
    if (client) {
      const batch = this.draw();
      this.schedule(); // now another lane may ask for a connection
      this.connections.give(client, 'standard', await this.send(batch, client));
    }
    this.underWay -= 1;
    if (client) this.schedule();
  }

  private async connect(): Promise<pg.PoolClient | undefined> {
    this.asking += 1;
    try {
      return await this.connections.take('standard');
    } catch (error) {
      // Else the other lane carries them.
      if (this.underWay === 1) for (const change of [...this.waiting]) this.leave(change, asError(error));
      return undefined;
    } finally {
      this.asking -= 1;
    }
  }

  /** Who came first, in the order of their locks; those of one lock stay in the order in which they came. */
  private draw(): Change[] {
    const batch = this.waiting.splice(0, mostInBatch).sort((one, other) => compare(one.lock, other.lock));
    for (const { options, timer } of batch) {
      clearTimeout(timer);
      // Short work, which is not cancelled: that would be to the others' cost.
      if (options.context) options.context.cancelStatement = undefined;
    }
    return batch;
  }

  /** Commits a batch, without those that Postgres refuses. Tells whether the connection is of no more use. */
  private async send(batch: readonly Change[], client: pg.PoolClient): Promise<boolean> {
    if (batch.length === 0) return false;
    let refused: number | undefined;
    try {
      const parts = batch.flatMap((change) => this.partsOf(change));
      parts.push(partOf(leave, [], false, this.connections.settings.preparedStatements));
      const limitMs = 2 * this.connections.settings.statementTimeoutMs;
      const found = await exchange(client, { parts, limitMs, onRefused: (part) => (refused = part >> 1) });
      batch.forEach(({ resolve }, place) => resolve(found[2 * place + 1] ?? []));
      return false;
    } catch (error) {
      const culprit = refused === undefined ? undefined : batch[refused];
      if (culprit === undefined || !rolledBack(error)) {
        for (const { reject } of batch) reject(new DatabaseUnavailable(error));
        return true;
      }
      const others = batch.filter((change) => change !== culprit);
      void this.commitApart(
        culprit,
        others.filter(({ lock }) => lock === culprit.lock),
      );
      return this.send(
        others.filter(({ lock }) => lock !== culprit.lock),
        client,
      );
    }
  }

  /** What tells Postgres of the tenant, and the statement. */
  private partsOf({ entry, statement, values }: Change): Part[] {
    const { preparedStatements } = this.connections.settings;
    const companion = enteringJointly(entry);
    return [
      partOf(companion, companion.values, false, preparedStatements),
      partOf(statement, values, true, preparedStatements),
    ];
  }

  /**
   * In a transaction of its own, which may wait for the lock. What else needs it waits for the end of that, in its order.
   * @param next those of its batch
   */
  private async commitApart(change: Change, next: readonly Change[] = []): Promise<void> {
    const { statement, values, lock, options, resolve, reject } = change;
    const isFirst = options.workClass === 'standard' && !this.parked.has(lock);
    if (isFirst) this.parked.set(lock, []);
    for (const other of next) this.park(other);
    if (isFirst)
      for (const other of this.waiting.filter((one) => one.lock === lock)) {
        remove(this.waiting, other);
        this.park(other);
      }
    try {
      resolve(
        await Transaction.run(this.connections, options, (transaction) =>
          transaction.queryAndCommit(statement, values),
        ),
      );
    } catch (error) {
      reject(error);
    }
    if (!isFirst) return;
    const parked = this.parked.get(lock) ?? [];
    this.parked.delete(lock);
    for (const change of parked) this.wait(change);
    this.schedule();
  }
}

/** SQLSTATE classes of what may end a session, and then behind the commit, too (PostgreSQL, Appendix A). */
const mayEndSession = /^(08|53|57P|58|XX)/;

/** Whether Postgres has said that nothing of the transaction was kept. Otherwise nobody knows. */
function rolledBack(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code !== undefined && !mayEndSession.test(error.code);
}

function remove<Item>(items: Item[], item: Item): boolean {
  const place = items.indexOf(item);
  if (place < 0) return false;
  items.splice(place, 1);
  return true;
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
