import { Injectable } from '@nestjs/common';
import { Config } from '../config';
import type { Sql, Statement } from '../database';
import { Connections } from '../database/connections';
import { Transaction } from '../database/transaction';
import { Log } from '../telemetry';

/** Batches of entries that may be under way at once. */
export const auditLanes = 2;
/** One more: the anchor reads the heads while both lanes write. */
const poolSize = auditLanes + 1;
/** A chain's lock that takes longer is held by something stuck: its entries are refused. */
const statementTimeoutMs = 4_000;

/** Connections of the audit log alone, as the role for cross-tenant work: an entry never waits behind a relay. */
@Injectable()
export class AuditConnections {
  private readonly connections: Connections;

  constructor(config: Config, log: Log) {
    const url = config.get('DATABASE_SYSTEM_URL');
    if (url === undefined) throw new Error('No DATABASE_SYSTEM_URL: the embedded Postgres was not started');
    this.connections = new Connections({
      url,
      shares: { total: poolSize, reservedForCritical: auditLanes, mostForBulk: 1 },
      applicationName: `gatehouse-audit-${config.get('GATEHOUSE_ROLE')}`,
      statementTimeoutMs,
      preparedStatements: config.get('DATABASE_PREPARED_STATEMENTS'),
      onBroken: (error) => log.warn({ err: error }, 'A database connection broke'),
    });
  }

  /** Sends a statement that appends; it is a transaction by itself, and has committed once this resolves. */
  async append(statement: Statement<unknown>, values: readonly unknown[]): Promise<void> {
    await this.connections.query(statement, values, 'critical');
  }

  /** Sends a statement that nobody waits for; it never takes the connection of one that appends. */
  maintain<Row>(statement: Statement<Row>, values: readonly unknown[]): Promise<Row[]> {
    return this.connections.query(statement, values, 'standard');
  }

  /** A transaction that only looks; it never takes the connection of one that appends. */
  read<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result> {
    return Transaction.run(this.connections, { tenant: undefined, workClass: 'standard' }, work);
  }

  close(): Promise<void> {
    return this.connections.close();
  }
}
