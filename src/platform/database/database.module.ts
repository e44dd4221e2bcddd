import { Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { ClsPluginTransactional } from '@nestjs-cls/transactional';
import { ClsModule } from 'nestjs-cls';
import { Config } from '../config';
import { Log } from '../telemetry';
import { Connections, RUNTIME_CONNECTIONS } from './connections';
import { JointCommits } from './joint-commits';
import { DatabaseStartupCheck } from './startup-check';
import { TenantSigner } from './tenant-signer';
import { TenantTransactions, UnitOfWork } from './unit-of-work';

/** Longer than any request may take, so that the deadline, which knows more, usually acts first. */
const statementTimeoutMs = 30_000;

/** The connections as the runtime role. */
@Module({
  providers: [
    {
      provide: RUNTIME_CONNECTIONS,
      inject: [Config, Log],
      useFactory: async (config: Config, log: Log) => {
        const total = config.get('DATABASE_POOL_SIZE');
        const reservedForCritical = config.get('DATABASE_POOL_CRITICAL');
        return new Connections({
          url: required(config.get('DATABASE_URL')),
          shares: {
            total,
            reservedForCritical,
            mostForBulk: Math.max(1, Math.floor((total - reservedForCritical) / 2)),
          },
          applicationName: `gatehouse-${config.get('GATEHOUSE_ROLE')}`,
          statementTimeoutMs,
          preparedStatements: config.get('DATABASE_PREPARED_STATEMENTS'),
          signer: await TenantSigner.load(required(config.get('DATABASE_SYSTEM_URL'))),
          onBroken: (error) => log.warn({ err: error }, 'A database connection broke'),
        });
      },
    },
  ],
  exports: [RUNTIME_CONNECTIONS],
})
class RuntimeConnectionsModule implements OnApplicationShutdown {
  constructor(@Inject(RUNTIME_CONNECTIONS) private readonly connections: Connections) {}

  async onApplicationShutdown(): Promise<void> {
    await this.connections.close();
  }
}

/** Transactions of one tenant, for domains. */
@Global()
@Module({
  imports: [
    RuntimeConnectionsModule,
    ClsModule.registerPlugins([
      new ClsPluginTransactional({ imports: [RuntimeConnectionsModule], adapter: new TenantTransactions() }),
    ]),
  ],
  providers: [UnitOfWork, JointCommits, DatabaseStartupCheck],
  exports: [UnitOfWork, RuntimeConnectionsModule],
})
export class DatabaseModule {}

function required(url: string | undefined): string {
  if (url === undefined) throw new Error('No database address: the embedded Postgres was not started');
  return url;
}
