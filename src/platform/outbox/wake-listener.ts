import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Client } from 'pg';
import { Config } from '../config';
import { Log } from '../telemetry';
import { OutboxWake, wakeChannel } from './outbox-wake';

const reconnectMs = 1_000;

/** Hears the wake-ups of other processes over a connection of its own. While it is deaf, polls stand in. */
@Injectable()
export class WakeListener implements OnApplicationBootstrap, OnModuleDestroy {
  private client: Client | undefined;
  private retry: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly config: Config,
    private readonly wake: OutboxWake,
    private readonly log: Log,
  ) {}

  onApplicationBootstrap(): void {
    if (this.config.runsQueues) this.listen();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.retry);
    await this.client?.end();
  }

  private listen(): void {
    const wake = () => this.wake.soon();
    const client = new Client({
      connectionString: this.config.get('DATABASE_SYSTEM_URL'),
      application_name: 'gatehouse-wake',
      connectionTimeoutMillis: 3_000,
      keepAlive: true,
    });
    this.client = client;
    client.on('notification', wake);
    // Whatever breaks the connection also ends it.
    client.on('error', (error) => this.log.debug({ err: error }, 'The listener’s connection broke'));
    client.once('end', () => this.again());
    client
      .connect()
      .then(() => client.query(`LISTEN ${wakeChannel}`))
      // What came while nobody listened.
      .then(wake)
      .catch((error: unknown) => {
        this.log.debug({ err: error }, 'The listener could not listen');
        this.again();
      });
  }

  private again(): void {
    if (this.stopped || this.retry) return;
    this.retry = setTimeout(() => {
      this.retry = undefined;
      const old = this.client;
      old?.removeAllListeners('end');
      old?.end().catch((error: unknown) => this.log.debug({ err: error }, 'The listener’s old connection did not end'));
      this.listen();
    }, reconnectMs);
  }
}
