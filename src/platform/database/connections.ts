import pg from 'pg';
import type { WorkClass } from '../context';
import { requestCancel } from './cancel-request';
import { ClassGate, type Shares } from './class-gate';
import { DatabaseBusy, translate } from './database.errors';
import { exchange } from './exchange';
import type { Statement } from './statement';
import type { TenantSigner } from './tenant-signer';
import { WaitingLine } from './waiting-line';
import { WatchedClient } from './watched-client';

export interface ConnectionSettings {
  readonly url: string;
  readonly shares: Shares;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** Longest a single statement may run, in milliseconds. */
  readonly statementTimeoutMs: number;
  readonly preparedStatements: boolean;
  /** Those of a role that works across tenants have none. */
  readonly signer?: Pick<TenantSigner, 'sign'>;
  /** Told of a connection that broke. */
  readonly onBroken: (error: Error) => void;
}

/** Those of the runtime role. */
export const RUNTIME_CONNECTIONS = Symbol('runtime connections');

/** How long a request waits for a connection of its class before it is refused, in milliseconds. */
export const connectionWaitMs = 3_000;
const connectTimeoutMs = 3_000;
/**
 * Each statement has one text for one plan; left to itself, Postgres would plan a list anew each time, for longer than it runs.
 * The plan is kept, and made while a table is empty it would read all of it for as long as nobody analyses it: every statement
 * has its index, and what has none is read whole all the same, without compiling it each time.
 */
const planning = '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off';
/** Whatever is set for the role, which may set it for itself. */
const asMeant = [
  'synchronous_commit=on',
  'DateStyle=ISO,MDY',
  'IntervalStyle=postgres',
  'TimeZone=UTC',
  'search_path=public',
  'log_parameter_max_length_on_error=0',
  'debug_print_parse=off',
  'debug_print_rewritten=off',
  'debug_print_plan=off',
]
  .map((setting) => `-c ${setting}`)
  .join(' ');

/** The connections of one role, shared between the classes of work: none can take what is reserved for `critical`. */
export class Connections {
  private readonly pool: pg.Pool;
  private readonly gate: ClassGate;
  private readonly line: WaitingLine<pg.PoolClient>;
  private isWarm = false;

  constructor(readonly settings: ConnectionSettings) {
    this.gate = new ClassGate(settings.shares);
    this.line = new WaitingLine(settings.shares);
    const config: pg.PoolConfig & { pipeline: boolean } = {
      connectionString: settings.url,
      max: settings.shares.total,
      application_name: settings.applicationName,
      connectionTimeoutMillis: connectTimeoutMs,
      idleTimeoutMillis: 60_000,
      min: settings.shares.reservedForCritical,
      pipeline: true,
      // A pooler in transaction mode refuses start-up parameters; there the limit is set in each transaction.
      ...(settings.preparedStatements
        ? { statement_timeout: settings.statementTimeoutMs, options: `${planning} ${asMeant}` }
        : {}),
    };
    this.pool = new pg.Pool({ ...config, Client: WatchedClient });
    this.pool.on('error', () => undefined); // told below, by the client itself
    // The pool listens only while a client is idle; a connection that breaks in use would end the process otherwise. What
    // ran on it is told by its own rejection.
    this.pool.on('connect', (client) => {
      client.on('error', (error) => {
        this.isWarm = false;
        settings.onBroken(error);
      });
    });
  }

  /**
   * A connection for one unit of work; `give` it back.
   * @throws DatabaseBusy when the class's share stays taken for 3 s, or at once where too many of the class wait already;
   * DatabaseUnavailable when none can be opened
   */
  take(workClass: WorkClass): Promise<pg.PoolClient> {
    return this.gate.tryTake(workClass) ? this.connect(workClass) : this.wait(workClass);
  }

  /** Takes an idle connection, or opens one. */
  private async connect(workClass: WorkClass): Promise<pg.PoolClient> {
    try {
      const client = await this.pool.connect();
      if (workClass === 'critical' && !this.isWarm) this.warm();
      return client;
    } catch (error) {
      this.gate.give(workClass);
      this.line.next(this.gate)?.admit();
      throw translate(error);
    }
  }

  /**
   * With the first critical request, and the first after one broke, opens all connections that are reserved for its class: a
   * flood is a bad time to log in.
   */
  private warm(): void {
    this.isWarm = true;
    const missing = this.settings.shares.reservedForCritical - this.pool.totalCount + this.pool.idleCount;
    const taken = Array.from({ length: Math.max(0, missing) }, () => this.take('critical'));
    void Promise.allSettled(taken).then((outcomes) => {
      // Who needs a connection that could not be opened is told so by his own attempt.
      for (const outcome of outcomes) if (outcome.status === 'fulfilled') this.give(outcome.value, 'critical', false);
    });
  }

  /** Gives a connection back, to whoever waits for one; a `broken` one is closed and replaced. */
  give(client: pg.PoolClient, workClass: WorkClass, broken: boolean): void {
    this.gate.give(workClass);
    const next = this.line.next(this.gate);
    if (next && !broken && isAlive(client)) {
      next.admit(client);
    } else {
      client.release(broken);
      next?.admit();
    }
  }

  /**
   * Sends one statement, which is a transaction by itself and has committed once this resolves. A server that says nothing for
   * twice as long as a statement may take is given up.
   * @throws as `take`; DatabaseUnavailable when the connection is lost; the driver's `DatabaseError` for what Postgres refuses
   */
  async query<Row>({ name, text }: Statement<Row>, values: readonly unknown[], workClass: WorkClass): Promise<Row[]> {
    const client = await this.take(workClass);
    const { preparedStatements, statementTimeoutMs } = this.settings;
    let failure: unknown;
    try {
      const part = { name: preparedStatements ? name : undefined, text, values, reads: true };
      const [rows = []] = await exchange(client, { parts: [part], limitMs: 2 * statementTimeoutMs });
      return rows as Row[];
    } catch (error) {
      failure = translate(error);
      throw failure;
    } finally {
      this.give(client, workClass, failure !== undefined && !(failure instanceof pg.DatabaseError));
    }
  }

  /** Cancels what the connection runs, past the pool, so that a full one cannot prevent it. */
  async cancel(client: pg.PoolClient): Promise<void> {
    await requestCancel(client, connectTimeoutMs);
  }

  /** Whether that class gets a connection without waiting for it. */
  hasRoom(workClass: WorkClass): boolean {
    return this.gate.hasRoom(workClass);
  }

  /** Whether somebody waits who would get what that class, which holds one, gives back. */
  isAwaited(workClass: WorkClass): boolean {
    if (this.line.isEmpty) return false;
    this.gate.give(workClass);
    const isAwaited = this.line.hasNext(this.gate);
    this.gate.tryTake(workClass);
    return isAwaited;
  }

  /** The most that may wait for a connection, of that class. */
  mostWaiting(workClass: WorkClass): number {
    return this.line.most[workClass];
  }

  /** Connections in use by that class now. */
  held(workClass: WorkClass): number {
    return this.gate.held(workClass);
  }

  /** Closes all, once what is in use was given back. */
  async close(): Promise<void> {
    await this.pool.end();
  }

  private wait(workClass: WorkClass): Promise<pg.PoolClient> {
    return new Promise((resolve, reject) => {
      const place = this.line.enter(workClass, (client) => {
        clearTimeout(timer);
        resolve(client ?? this.connect(workClass));
      });
      if (!place) {
        reject(new DatabaseBusy());
        return;
      }
      const timer = setTimeout(() => {
        this.line.leave(place);
        reject(new DatabaseBusy());
      }, connectionWaitMs);
    });
  }
}

/** Whether a connection can be used again, as the driver's pool asks it, beyond its published types. */
function isAlive(client: pg.PoolClient): boolean {
  const { _queryable, _ending } = client as unknown as { readonly _queryable: boolean; readonly _ending: boolean };
  return _queryable && !_ending;
}
