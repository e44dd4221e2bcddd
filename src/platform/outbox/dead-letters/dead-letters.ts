import { Injectable } from '@nestjs/common';
import { statement } from '../../database';
import { SystemDatabase } from '../../database/system';
import { deliveryId, parseDeliveryId } from '../deliveries';
import { OutboxWake } from '../outbox-wake';

/** A delivery that will not be attempted again unless somebody asks for it. */
export interface DeadLetter {
  /** `<event id>.<consumer>` */
  readonly id: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly consumer: string;
  readonly tenantId: string;
  readonly correlationId: string;
  readonly attempts: number;
  readonly lastErrorClass: string;
  /** RFC 3339, UTC. */
  readonly occurredAt: string;
  readonly diedAt: string;
}

const utc = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const list = statement<Omit<DeadLetter, 'id'>>(
  'outbox.list-dead',
  `SELECT d.event_id AS "eventId", e.type AS "eventType", d.consumer, d.tenant_id AS "tenantId",
          e.correlation_id AS "correlationId", d.attempts, d.last_error_class AS "lastErrorClass",
          ${utc('e.created_at')} AS "occurredAt", ${utc('d.finished_at')} AS "diedAt"
   FROM event_deliveries d JOIN outbox_events e ON e.id = d.event_id
   WHERE d.state = 'dead' AND ($2 = '' OR (d.event_id, d.consumer) < ($1, $2))
     AND ($3::text IS NULL OR d.consumer = $3)
   ORDER BY d.event_id DESC, d.consumer DESC LIMIT $4`,
);

const retry = statement<{ state: string }>(
  'outbox.retry-dead',
  `WITH found AS (
     SELECT state FROM event_deliveries WHERE event_id = $1 AND consumer = $2 FOR UPDATE
   ), revived AS (
     UPDATE event_deliveries SET state = 'pending', attempts = 0, next_attempt_at = now(), draw_at = now(),
       published_at = NULL, finished_at = NULL
     WHERE event_id = $1 AND consumer = $2 AND state = 'dead' AND EXISTS (SELECT FROM found)
   )
   SELECT state FROM found`,
);

/** What an operator may see and do of the deliveries of all tenants. */
@Injectable()
export class DeadLetters {
  constructor(
    private readonly system: SystemDatabase,
    private readonly wake: OutboxWake,
  ) {}

  /** Newest events first; one more than `limit` where there are more. @param after keys of the last one seen */
  async list(after: { eventId: string; consumer: string } | undefined, consumer: string | undefined, limit: number) {
    const values = [after?.eventId ?? '', after?.consumer ?? '', consumer ?? null, limit + 1];
    const rows = await this.system.run((sql) => sql.query(list, values));
    return rows.map((row): DeadLetter => ({ id: deliveryId(row.eventId, row.consumer), ...row }));
  }

  /** Gives a dead letter the full schedule of retries again, from now. */
  async retry(id: string): Promise<'retried' | 'unknown' | 'not_dead'> {
    const names = parseDeliveryId(id);
    if (!names) return 'unknown';
    const [found] = await this.system.run((sql) => sql.query(retry, [names.eventId, names.consumer]));
    if (!found) return 'unknown';
    if (found.state !== 'dead') return 'not_dead';
    this.wake.soon();
    return 'retried';
  }
}
