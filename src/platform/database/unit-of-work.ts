import { Injectable } from '@nestjs/common';
import { Transactional, TransactionHost, type TransactionalAdapter } from '@nestjs-cls/transactional';
import { Context } from '../context';
import type { Connections } from './connections';
import { OutsideTransaction } from './database.errors';
import type { Companion } from './message';
import type { Sql, Statement } from './statement';
import { Transaction } from './transaction';

interface Mode {
  readonly readOnly?: boolean;
}

/** Makes `@Transactional()` open a transaction of the context's tenant and class. */
export class TenantTransactions implements TransactionalAdapter<Connections, Sql, Mode> {
  readonly connectionToken = RUNTIME_CONNECTIONS;
  readonly supportsTransactionProxy = false;

  readonly optionsFactory = (connections: Connections) => {
    const context = new Context();
    return {
      wrapWithTransaction: <Result>(
        { readOnly }: Mode,
        work: () => Promise<Result>,
        setTransaction: (transaction?: Sql) => void,
      ): Promise<Result> => {
        const { current } = context;
        const workClass = current?.workClass ?? 'standard';
        const options = { tenant: current?.tenant, workClass, readOnly, context: current };
        return Transaction.run(connections, options, (transaction) => {
          setTransaction(transaction);
          return work();
        });
      },
      getFallbackInstance: () => outside,
    };
  };
}

/** What repositories get where no transaction is open: it refuses. */
const outside: Sql = {
  query: () => Promise.reject(new OutsideTransaction()),
};

/**
 * Runs the method in a transaction that may only read (or in the one that is open already), and gives its result without
 * waiting for the transaction's end.
 */
export const ReadOnly = (): MethodDecorator => Transactional<TenantTransactions>({ readOnly: true });

export const RUNTIME_CONNECTIONS = Symbol('runtime connections');

/** The current transaction, for repositories; and the way to open one where a decorator cannot stand. */
@Injectable()
export class UnitOfWork {
  constructor(private readonly host: TransactionHost<TenantTransactions>) {}

  /** Sends a statement in the current transaction. @throws OutsideTransaction when there is none */
  query<Row>(statement: Statement<Row>, values?: readonly unknown[]): Promise<Row[]> {
    return this.host.tx.query(statement, values);
  }

  /** As `query`, behind statements that are sent in the same message and whose results nobody reads. */
  async queryBehind<Row>(
    behind: readonly Companion[],
    statement: Statement<Row>,
    values?: readonly unknown[],
  ): Promise<Row[]> {
    return this.transaction.query(statement, values, behind);
  }

  /** Sends a statement and commits the current transaction in one message; it takes no further statement. */
  async queryAndCommit<Row>(statement: Statement<Row>, values: readonly unknown[]): Promise<Row[]> {
    return this.transaction.queryAndCommit(statement, values);
  }

  /** Runs `work` in the current transaction, or in a new one of the context's tenant that commits when it returns. */
  run<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.host.withTransaction(work);
  }

  /** Ends the current transaction, which must have changed nothing, without waiting for it; it takes no further statement. */
  endReading(): void {
    this.transaction.endReading();
  }

  /** Commits the current transaction now, behind the statements already sent; it takes no further statement. */
  async commit(): Promise<void> {
    await this.transaction.commit();
  }

  private get transaction(): Transaction {
    const { tx } = this.host;
    if (!(tx instanceof Transaction)) throw new OutsideTransaction();
    return tx;
  }
}
