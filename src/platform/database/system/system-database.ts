import { Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { Config } from '../../config';
import type { WorkClass } from '../../context';
import { Log } from '../../telemetry';
import { Connections } from '../connections';
import type { Sql } from '../statement';
import { Transaction } from '../transaction';

const poolSize = 4;
const statementTimeoutMs = 30_000;

/**
 * Transactions as the role for cross-tenant work: the relay, schedulers, revocations, the operator's lists.
 * Its policies name the tables it may touch. Domains cannot import this folder (checked in CI).
 */
@Injectable()
export class SystemDatabase implements OnApplicationShutdown {
  private readonly connections: Connections;

  constructor(config: Config, log: Log) {
    const url = config.get('DATABASE_SYSTEM_URL');
    if (url === undefined) throw new Error('No DATABASE_SYSTEM_URL: the embedded Postgres was not started');
    this.connections = new Connections({
      url,
      shares: { total: poolSize, reservedForCritical: 1, mostForBulk: poolSize - 1 },
      applicationName: `gatehouse-system-${config.get('GATEHOUSE_ROLE')}`,
      statementTimeoutMs,
      preparedStatements: config.get('DATABASE_PREPARED_STATEMENTS'),
      onBroken: (error) => log.warn({ err: error }, 'A database connection broke'),
    });
  }

  /**
   * Runs `work` in a transaction of its own: committed when it returns, rolled back when it throws. One connection is kept
   * for `critical` work, such as revocations, which must not wait behind a relay or an operator's list.
   */
  run<Result>(work: (sql: Sql) => Promise<Result>, workClass: WorkClass = 'standard'): Promise<Result> {
    return Transaction.run(this.connections, { tenant: undefined, workClass }, work);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.connections.close();
  }
}

@Module({ providers: [SystemDatabase], exports: [SystemDatabase] })
export class SystemDatabaseModule {}
