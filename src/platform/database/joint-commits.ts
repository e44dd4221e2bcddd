import { Inject, Injectable } from '@nestjs/common';
import pg from 'pg';
import { type Connections, RUNTIME_CONNECTIONS } from './connections';
import { DatabaseBusy, StatementCancelled, translate } from './database.errors';
import { exchange, type Part } from './exchange';
import { type Companion, enteringJointly, partOf } from './message';
import type { Statement } from './statement';
import { entering, Transaction, type TransactionOptions } from './transaction';

/** How many transactions are under way at once; more of them make each smaller, and Postgres slower. */
const lanes = 2;
/** How many changes share one. */
const mostInBatch = 8;
/** How many wait for one at most. */
const mostWaiting = 96;

/** What one request changes, by a statement that is all of its transaction. */
interface Change {
  readonly entry: Companion;
  readonly statement: Statement<unknown>;
  readonly values: readonly (string | null)[];
  readonly lock: string;
  readonly options: TransactionOptions;
  readonly resolve: (rows: unknown[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: what several requests change while the lanes are taken goes in one message and one transaction, each part
 * under its own tenant. The message, the commit and the way to the disk are paid for once for all of them.
 *
 * Nobody is worse off for the company: a batch that fails, or waits for a lock for long, changes nothing, and each of its
 * changes is then made in a transaction of its own. While that is under way, what needs the same lock is kept out of batches.
 */
@Injectable()
export class JointCommits {
  private readonly waiting: Change[] = [];
  private underWay = 0;
  private scheduled = false;
  /** The locks of changes that are made by themselves, and how many wait for each. */
  private readonly apart = new Map<string, number>();

  constructor(@Inject(RUNTIME_CONNECTIONS) private readonly connections: Connections) {}

  /**
   * Resolves with the statement's rows once what it changed is durable.
   * @param lock the first row that the statement locks. Batches lock in the order of these names, so that no two wait for
   * each other; a statement must lock nothing else of that kind
   * @throws as a transaction with that one statement
   */
  commit<Row>(
    statement: Statement<Row>,
    values: readonly (string | null)[],
    lock: string,
    options: TransactionOptions,
  ): Promise<Row[]> {
    return new Promise<unknown[]>((resolve, reject) => {
      const entry = entering(options, this.connections.settings);
      const change = { entry, statement, values, lock, options, resolve, reject };
      if (options.context?.expired) throw new StatementCancelled();
      if (this.apart.has(lock) || options.workClass !== 'standard') {
        this.commitApart(change);
        return;
      }
      if (this.waiting.length >= mostWaiting) throw new DatabaseBusy();
      this.waiting.push(change);
      if (options.context) options.context.cancelStatement = () => this.leave(change);
      this.schedule();
    }) as Promise<Row[]>;
  }

  /** In the next turn of the event loop, so that all requests that were read in this one share a batch. */
  private schedule(): void {
    if (this.scheduled || this.underWay >= lanes) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      const batches = Math.ceil(this.waiting.length / mostInBatch);
      for (let n = Math.min(batches, lanes - this.underWay); n > 0; n -= 1) void this.takeLane();
    });
  }

  /** A change whose request has no time left. */
  private leave(change: Change): void {
    const place = this.waiting.indexOf(change);
    if (place < 0) return;
    this.waiting.splice(place, 1);
    change.reject(new StatementCancelled());
  }

  /** What waits for a connection may still leave, and whoever comes meanwhile shares it. */
  private async takeLane(): Promise<void> {
    this.underWay += 1;
    try {
      const client = await this.connections.take('standard');
      await this.send(this.draw(), client);
    } catch (error) {
      for (const { reject } of this.draw()) reject(error);
    } finally {
      this.underWay -= 1;
      if (this.waiting.length > 0) this.schedule();
    }
  }

  /** Who came first, in the order of their locks; those of one lock stay in the order in which they came. */
  private draw(): Change[] {
    const batch = this.waiting.splice(0, mostInBatch).sort((one, other) => compare(one.lock, other.lock));
    // Short work, which is not cancelled: that would be to the others' cost.
    for (const { options } of batch) if (options.context) options.context.cancelStatement = undefined;
    return batch;
  }

  private async send(batch: readonly Change[], client: pg.PoolClient): Promise<void> {
    let isBroken = false;
    try {
      const parts = batch.flatMap((change, place) => this.partsOf(change, place === 0));
      const found = batch.length > 0 ? await exchange(client, { parts }) : [];
      batch.forEach(({ resolve }, place) => resolve(found[2 * place + 1] ?? []));
    } catch (error) {
      isBroken = !rolledBack(error);
      for (const change of batch)
        if (isBroken) change.reject(translate(error));
        else this.commitApart(change);
    } finally {
      this.connections.give(client, 'standard', isBroken);
    }
  }

  /** What tells Postgres of the tenant, and the statement. */
  private partsOf({ entry, statement, values }: Change, isFirst: boolean): Part[] {
    const { preparedStatements } = this.connections.settings;
    const companion = isFirst ? enteringJointly(entry) : entry;
    return [
      partOf(companion, companion.values, false, preparedStatements),
      partOf(statement, values, true, preparedStatements),
    ];
  }

  private commitApart({ statement, values, lock, options, resolve, reject }: Change): void {
    this.apart.set(lock, (this.apart.get(lock) ?? 0) + 1);
    Transaction.run(this.connections, options, (transaction) => transaction.queryAndCommit(statement, values))
      .then(resolve, reject)
      .finally(() => {
        const left = (this.apart.get(lock) ?? 1) - 1;
        if (left > 0) this.apart.set(lock, left);
        else this.apart.delete(lock);
      });
  }
}

/** SQLSTATE classes of what may end a session, and then behind the commit, too (PostgreSQL, Appendix A). */
const mayEndSession = /^(08|53|57P|58|XX)/;

/** Whether Postgres has said that nothing of the transaction was kept. Otherwise nobody knows. */
function rolledBack(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code !== undefined && !mayEndSession.test(error.code);
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
