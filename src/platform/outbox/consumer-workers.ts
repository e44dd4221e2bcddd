import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { Clock, Config } from '../config';
import { UnitOfWork } from '../database';
import { SystemDatabase } from '../database/system';
import { Queues } from '../queues';
import { Log, Metrics } from '../telemetry';
import { CircuitBreaker } from './circuit-breaker';
import type { RegisteredConsumer } from './consumers';
import type { DeliveryJob } from './deliveries';
import { DeliveryRunner } from './delivery-runner';
import { Drawer } from './drawer';
import { Loop } from './loop';

/** One lane a consumer: a queue, a drawer, a breaker and workers of its own, so that a slow one delays itself only. */
@Injectable()
export class ConsumerWorkers implements OnModuleDestroy {
  private readonly drawing: Loop[] = [];
  private readonly breakers: CircuitBreaker[] = [];
  private readonly outcomes: Counter<'consumer' | 'outcome'>;

  constructor(
    private readonly config: Config,
    private readonly queues: Queues,
    private readonly system: SystemDatabase,
    private readonly unitOfWork: UnitOfWork,
    private readonly log: Log,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {
    const labels = ['consumer', 'outcome'] as const;
    this.outcomes = metrics.counter(
      'event_delivery_attempts_total',
      'Attempts to deliver an event, by their end',
      labels,
    );
  }

  start(consumers: readonly RegisteredConsumer[]): void {
    const open = this.metrics.gauge('event_consumer_circuit_open', '1 while the other side is taken for unwell', [
      'consumer',
    ]);
    for (const registered of consumers) {
      const { name } = registered;
      const queue = this.queues.open<DeliveryJob>(name);
      const breaker = new CircuitBreaker((isOpen) => open.set({ consumer: name }, Number(isOpen)));
      const runner = new DeliveryRunner(registered, this.unitOfWork, breaker, this.outcomes, this.log);
      const drawer = new Drawer(name, queue, this.system);
      const drawing = new Loop(`draw-${name}`, () => drawer.draw(), this.log, this.clock);
      this.breakers.push(breaker);
      this.drawing.push(drawing);
      queue.process(this.config.get('WORKER_CONCURRENCY'), `consumer:${name}`, async ({ eventId }) => {
        await runner.attempt(eventId);
      });
      drawing.start();
    }
  }

  /** Whether each queue answered the last time that work was drawn for it, which is every second at the least. */
  get areWell(): boolean {
    return this.drawing.every(({ isWell }) => isWell);
  }

  /** There are new deliveries. */
  wake(): void {
    for (const drawing of this.drawing) drawing.wake();
  }

  /** Draws nothing more and sends away who waits for a breaker; the queues then wait for what runs. */
  async onModuleDestroy(): Promise<void> {
    for (const breaker of this.breakers) breaker.end();
    await Promise.all(this.drawing.map((drawing) => drawing.stop()));
  }
}
