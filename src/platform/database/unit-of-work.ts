import { Injectable } from '@nestjs/common';
import { Transactional, TransactionHost, type TransactionalAdapter } from '@nestjs-cls/transactional';
import { Context, type WorkContext } from '../context';
import { type Connections, RUNTIME_CONNECTIONS } from './connections';
import { OutsideTransaction } from './database.errors';
import { JointCommits } from './joint-commits';
import type { Companion } from './message';
import { Reading, Readings } from './reading';
import type { Statement } from './statement';
import { Transaction, type TransactionOptions } from './transaction';

interface Mode {
  readonly readOnly?: boolean;
}

/** Makes `@Transactional()` open a transaction of the context's tenant and class. */
export class TenantTransactions implements TransactionalAdapter<Connections, OpenTransaction, Mode> {
  readonly connectionToken = RUNTIME_CONNECTIONS;
  readonly supportsTransactionProxy = false;

  readonly optionsFactory = (connections: Connections) => {
    const context = new Context();
    const readings = new Readings(connections);
    return {
      wrapWithTransaction: <Result>(
        { readOnly }: Mode,
        work: () => Promise<Result>,
        setTransaction: (transaction?: OpenTransaction) => void,
      ): Promise<Result> => {
        const within = (transaction: OpenTransaction) => {
          setTransaction(transaction);
          return work();
        };
        const options = optionsOf(context.current);
        return readOnly ? Reading.run(readings, options, within) : Transaction.run(connections, options, within);
      },
      getFallbackInstance: () => outside,
    };
  };
}

function optionsOf(context: WorkContext | undefined): TransactionOptions {
  return { tenant: context?.tenant, workClass: context?.workClass ?? 'standard', context };
}

type OpenTransaction = Pick<Transaction, 'query' | 'queryAndCommit' | 'commit' | 'endReading'>;

const refuse = () => Promise.reject(new OutsideTransaction());

/** What repositories get where no transaction is open: it refuses. */
const outside: OpenTransaction = {
  query: refuse,
  queryAndCommit: refuse,
  commit: refuse,
  endReading: () => {
    throw new OutsideTransaction();
  },
};

/** Runs the method in a transaction that may only read, or in the one that is open already. */
export const ReadOnly = (): MethodDecorator => Transactional<TenantTransactions>({ readOnly: true });

/** The current transaction, for repositories; and the way to open one where a decorator cannot stand. */
@Injectable()
export class UnitOfWork {
  private readonly context = new Context();

  constructor(
    private readonly host: TransactionHost<TenantTransactions>,
    private readonly jointCommits: JointCommits,
  ) {}

  /** Sends a statement in the current transaction. @throws OutsideTransaction when there is none */
  query<Row>(statement: Statement<Row>, values?: readonly unknown[]): Promise<Row[]> {
    return this.host.tx.query(statement, values);
  }

  /** As `query`, behind statements that are sent in the same message and whose results nobody reads. */
  queryBehind<Row>(
    behind: readonly Companion[],
    statement: Statement<Row>,
    values?: readonly unknown[],
  ): Promise<Row[]> {
    return this.host.tx.query(statement, values, behind);
  }

  /** Sends a statement and commits the current transaction in one message; it takes no further statement. */
  queryAndCommit<Row>(statement: Statement<Row>, values: readonly unknown[]): Promise<Row[]> {
    return this.host.tx.queryAndCommit(statement, values);
  }

  /**
   * Runs a statement as a transaction by itself, of the context's tenant: what it changed is durable once this resolves. It
   * may be committed together with what other requests change. Must not be called inside of a transaction, of which it would
   * be no part.
   * @param lock the first row that the statement locks, and the only one of its table; a name by which all sort it
   */
  commitJointly<Row>(statement: Statement<Row>, values: readonly (string | null)[], lock: string): Promise<Row[]> {
    if (this.host.isTransactionActive())
      throw new Error(`"${statement.name}" is no part of the transaction that is open`);
    return this.jointCommits.commit(statement, values, lock, optionsOf(this.context.current));
  }

  /** Runs `work` in the current transaction, or in a new one of the context's tenant that commits when it returns. */
  run<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.host.withTransaction(work);
  }

  /** Ends the current transaction, which must have changed nothing, without waiting for it; it takes no further statement. */
  endReading(): void {
    this.host.tx.endReading();
  }

  /** Commits the current transaction now, behind the statements already sent; it takes no further statement. */
  commit(): Promise<void> {
    return this.host.tx.commit();
  }
}
