import type { WorkClass } from '../context';
import type { Connections } from './connections';
import { StatementCancelled } from './database.errors';
import { type Companion, enterReading } from './message';
import { SharedReadings, type UnderWay } from './shared-readings';
import type { Sql, Statement } from './statement';
import { entering, type TransactionOptions } from './transaction';

/** What is read over some connections, by class of work: none waits behind a reading of another class. */
export class Readings {
  private readonly byClass: Readonly<Record<WorkClass, SharedReadings>>;

  constructor(readonly connections: Connections) {
    const of = (workClass: WorkClass) => new SharedReadings(connections, workClass);
    this.byClass = { critical: of('critical'), standard: of('standard'), bulk: of('bulk') };
  }

  of(workClass: WorkClass): SharedReadings {
    return this.byClass[workClass];
  }
}

/**
 * A transaction that only reads. Each of its statements is one by itself, since none of what it reads is locked, and at READ
 * COMMITTED each has a snapshot of its own in any case: it holds no connection between them, and shares one with others.
 */
export class Reading implements Sql {
  private isOpen = true;
  private readonly underWay = new Set<UnderWay>();

  private constructor(
    private readonly readings: SharedReadings,
    private readonly opening: readonly Companion[],
    private readonly options: TransactionOptions,
  ) {}

  /** Runs `work`, whose statements Postgres refuses where they would change something. */
  static async run<Result>(
    readings: Readings,
    options: TransactionOptions,
    work: (reading: Reading) => Promise<Result>,
  ): Promise<Result> {
    const { context, workClass } = options;
    if (context?.expired) throw new StatementCancelled();
    const opening = [entering(options, readings.connections.settings, enterReading)];
    const reading = new Reading(readings.of(workClass), opening, options);
    const cancel = () => {
      for (const sent of reading.underWay) sent.cancel();
    };
    if (context) context.cancelStatement = cancel;
    try {
      return await work(reading);
    } finally {
      reading.endReading();
      if (context?.cancelStatement === cancel) context.cancelStatement = undefined;
    }
  }

  /** @param behind what is sent before it in the same message */
  async query<Row>(
    statement: Statement<Row>,
    values: readonly unknown[] = [],
    behind: readonly Companion[] = [],
  ): Promise<Row[]> {
    if (!this.isOpen) throw new Error(`"${statement.name}" was sent after its transaction had ended`);
    if (this.options.context?.expired) throw new StatementCancelled();
    const sent = this.readings.send({ opening: this.opening, behind, statement, values });
    this.underWay.add(sent);
    try {
      return (await sent.rows) as Row[];
    } finally {
      this.underWay.delete(sent);
    }
  }

  /** Refuses: there is nothing to commit. */
  queryAndCommit({ name }: Statement<unknown>): Promise<never> {
    return Promise.reject(new Error(`"${name}" is to be committed by a transaction that only reads`));
  }

  commit(): Promise<void> {
    this.endReading();
    return Promise.resolve();
  }

  /** It takes no further statement. */
  endReading(): void {
    this.isOpen = false;
  }
}
