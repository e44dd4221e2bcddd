import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Gauge } from 'prom-client';
import { Clock, Config } from '../config';
import { statement } from '../database';
import { SystemDatabase } from '../database/system';
import { Log, Metrics } from '../telemetry';
import { Loop, type Turn } from './loop';
import { batchSize, keepDoneHours } from './settings';

const sampleMs = 5_000;
const cleanMs = 60_000;

const oldest = statement<{ relay: number; delivery: number }>(
  'outbox.oldest',
  `SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS relay,
     coalesce((SELECT extract(epoch FROM now() - min(draw_at)) FROM event_deliveries
               WHERE draw_at <= now()), 0)::float8 AS delivery
   FROM outbox_events WHERE relayed_at IS NULL`,
);

const counts = statement<{ consumer: string; state: 'pending' | 'dead'; count: number }>(
  'outbox.counts',
  `SELECT consumer, 'pending' AS state, count(*)::int AS count FROM event_deliveries WHERE draw_at IS NOT NULL GROUP BY 1, 2
   UNION ALL
   SELECT consumer, state, count(*)::int FROM event_deliveries WHERE state = 'dead' GROUP BY 1, 2`,
);

/** Events all of whose deliveries are done for long enough, with these deliveries. */
const clean = statement<{ count: number }>(
  'outbox.clean',
  `WITH old AS (
     SELECT e.id FROM outbox_events e
     WHERE e.created_at < now() - make_interval(hours => $1) AND e.relayed_at IS NOT NULL AND NOT EXISTS (
       SELECT FROM event_deliveries d WHERE d.event_id = e.id
         AND (d.state <> 'done' OR d.finished_at >= now() - make_interval(hours => $1)))
     LIMIT $2 FOR UPDATE SKIP LOCKED
   ), deliveries AS (
     DELETE FROM event_deliveries d USING old WHERE d.event_id = old.id
   ), events AS (
     DELETE FROM outbox_events e USING old WHERE e.id = old.id RETURNING 1
   )
   SELECT count(*)::int AS count FROM events`,
);

/** Tells the metrics how the outbox is doing, and removes what is long done. */
@Injectable()
export class Housekeeping implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly oldestEvent: Gauge;
  private readonly oldestDue: Gauge;
  private readonly deliveries: Gauge<'consumer' | 'state'>;
  private readonly loops: Loop[];

  constructor(
    private readonly config: Config,
    private readonly system: SystemDatabase,
    log: Log,
    clock: Clock,
    metrics: Metrics,
  ) {
    this.oldestEvent = metrics.gauge('outbox_oldest_pending_seconds', 'Age of the oldest event that was not relayed');
    this.oldestDue = metrics.gauge(
      'event_delivery_oldest_due_seconds',
      'How long the delivery that should have been queued first has been due',
    );
    this.deliveries = metrics.gauge('event_deliveries', 'Deliveries of events that are not done', [
      'consumer',
      'state',
    ]);
    this.loops = [
      new Loop('outbox-metrics', () => this.sample(), log, clock, sampleMs),
      new Loop('outbox-cleaning', () => this.clean(), log, clock, cleanMs),
    ];
  }

  onApplicationBootstrap(): void {
    if (this.config.runsQueues) this.loops.forEach((loop) => loop.start());
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
  }

  private async sample(): Promise<Turn> {
    const [[ages], rows] = await this.system.run((sql) => Promise.all([sql.query(oldest), sql.query(counts)]));
    this.oldestEvent.set(ages?.relay ?? 0);
    this.oldestDue.set(ages?.delivery ?? 0);
    this.deliveries.reset();
    for (const { consumer, state, count } of rows) this.deliveries.set({ consumer, state }, count);
    return 'idle';
  }

  private async clean(): Promise<Turn> {
    const [removed] = await this.system.run((sql) => sql.query(clean, [keepDoneHours, batchSize]));
    return removed?.count === batchSize ? 'again' : 'idle';
  }
}
