import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Clock, Config } from '../config';
import { Log } from '../telemetry';
import { ConsumerWorkers } from './consumer-workers';
import { Consumers, type RegisteredConsumer } from './consumers';
import { Loop, type Turn } from './loop';
import { OutboxWake } from './outbox-wake';
import { Relay } from './relay';

/** Relays and delivers events in processes that have the role for it. */
@Injectable()
export class RelayWorker implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly relaying: Loop;
  private registered: readonly RegisteredConsumer[] = [];

  constructor(
    private readonly config: Config,
    private readonly consumers: Consumers,
    private readonly relay: Relay,
    private readonly workers: ConsumerWorkers,
    private readonly wake: OutboxWake,
    clock: Clock,
    log: Log,
  ) {
    this.relaying = new Loop('relay', () => this.move(), log, clock);
  }

  onApplicationBootstrap(): void {
    if (!this.config.runsQueues) return;
    this.registered = this.consumers.all();
    this.workers.start(this.registered);
    this.wake.whenWoken(() => {
      this.relaying.wake();
      this.workers.wake();
    });
    this.relaying.start();
  }

  /** Whether events move from the outbox onto every queue; `undefined` in a process that has no such role. */
  get isWell(): boolean | undefined {
    return this.config.runsQueues ? this.relaying.isWell && this.workers.areWell : undefined;
  }

  onModuleDestroy(): Promise<void> {
    return this.relaying.stop();
  }

  private async move(): Promise<Turn> {
    const { deliveries, events, full } = await this.relay.move(this.registered);
    if (deliveries > 0) this.workers.wake();
    if (full) return 'again';
    return events > 0 ? 'soon' : 'idle';
  }
}
