import { type Sql, statement } from '../database';
import type { SystemDatabase } from '../database/system';
import type { Queue } from '../queues';
import { deliveryId, type DeliveryJob } from './deliveries';
import type { Turn } from './loop';
import { batchSize, maxQueueDepth, publicationLeaseSeconds, tenantsPerDraw } from './settings';

/** The next tenants behind `$2` that have something pending: one index probe each, whatever their backlogs. */
const tenantsInTurn = statement<{ tenant: string }>(
  'outbox.tenants-in-turn',
  `WITH RECURSIVE turn (tenant) AS (
     (SELECT tenant_id FROM event_deliveries
      WHERE draw_at IS NOT NULL AND consumer = $1 AND tenant_id > $2 ORDER BY tenant_id LIMIT 1)
     UNION ALL
     SELECT (SELECT d.tenant_id FROM event_deliveries d
             WHERE d.draw_at IS NOT NULL AND d.consumer = $1 AND d.tenant_id > turn.tenant ORDER BY d.tenant_id LIMIT 1)
     FROM turn WHERE turn.tenant IS NOT NULL
   )
   SELECT tenant FROM turn WHERE tenant IS NOT NULL LIMIT $3`,
);

interface Drawn {
  readonly eventId: string;
  readonly tenant: string;
  readonly correlationId: string;
  readonly traceparent: string | null;
  readonly again: boolean;
}

/** The oldest due deliveries of each of these tenants, the same number of each, first ones first. */
const draw = statement<Drawn>(
  'outbox.draw',
  `WITH due AS (
     SELECT d.event_id, d.published_at IS NOT NULL OR d.attempts > 0 AS again, row_number() OVER (PARTITION BY d.tenant_id) AS turn
     FROM unnest($2::text[]) AS chosen (tenant) CROSS JOIN LATERAL (
       SELECT event_id, tenant_id, published_at, attempts FROM event_deliveries
       WHERE consumer = $1 AND tenant_id = chosen.tenant AND draw_at <= now()
       ORDER BY draw_at LIMIT $3 FOR UPDATE SKIP LOCKED
     ) d
   ), drawn AS (
     UPDATE event_deliveries d SET draw_at = now() + make_interval(secs => $4), published_at = now()
     FROM due WHERE d.event_id = due.event_id AND d.consumer = $1
     RETURNING d.event_id, d.tenant_id, due.again, due.turn
   )
   SELECT e.id AS "eventId", drawn.tenant_id AS tenant, e.correlation_id AS "correlationId", e.traceparent, drawn.again
   FROM drawn JOIN outbox_events e ON e.id = drawn.event_id ORDER BY drawn.turn`,
);

const putBack = statement(
  'outbox.put-back',
  `UPDATE event_deliveries SET draw_at = now()
   WHERE consumer = $1 AND event_id = ANY($2::text[]) AND state = 'pending' AND published_at IS NOT NULL`,
);

/** Puts the due deliveries of one consumer onto its queue: tenants in turn, and never more than the queue may hold. */
export class Drawer {
  private lastTenant = '';
  private foundThisRound = false;

  constructor(
    private readonly consumer: string,
    private readonly queue: Queue<DeliveryJob>,
    private readonly system: SystemDatabase,
  ) {}

  /** One draw. @throws RedisUnavailable, DatabaseUnavailable; what was drawn and not queued is drawn again */
  async draw(): Promise<Turn> {
    const room = Math.min(batchSize, maxQueueDepth - (await this.queue.depth()));
    if (room <= 0) return 'soon';
    const { tenants, drawn } = await this.system.run((sql) => this.take(sql, room));
    const roundEnds = tenants.length < Math.min(tenantsPerDraw, room);
    this.lastTenant = roundEnds ? '' : (tenants.at(-1) ?? '');
    this.foundThisRound ||= drawn.length > 0;
    const idle = roundEnds && !this.foundThisRound;
    if (roundEnds) this.foundThisRound = false;
    if (drawn.length > 0) await this.publish(drawn);
    return idle ? 'idle' : 'again';
  }

  private async take(sql: Sql, room: number): Promise<{ tenants: string[]; drawn: Drawn[] }> {
    const most = Math.min(tenantsPerDraw, room);
    const rows = await sql.query(tenantsInTurn, [this.consumer, this.lastTenant, most]);
    const tenants = rows.map(({ tenant }) => tenant);
    if (tenants.length === 0) return { tenants, drawn: [] };
    const share = Math.max(1, Math.floor(room / tenants.length));
    const drawn = await sql.query(draw, [this.consumer, tenants, share, publicationLeaseSeconds]);
    return { tenants, drawn };
  }

  /** With no transaction open. Should this process die before, or in it, the lease on the publication ends by itself. */
  private async publish(drawn: readonly Drawn[]): Promise<void> {
    const jobs = drawn.map(({ eventId, tenant, correlationId, traceparent, again }) => ({
      id: deliveryId(eventId, this.consumer),
      data: { eventId, tenant, correlationId, traceparent: traceparent ?? undefined },
      again,
    }));
    try {
      await this.queue.add(jobs);
    } catch (error) {
      const eventIds = drawn.map(({ eventId }) => eventId);
      await this.system.run((sql) => sql.query(putBack, [this.consumer, eventIds]));
      throw error;
    }
  }
}
