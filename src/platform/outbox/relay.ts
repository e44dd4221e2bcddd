import { Injectable } from '@nestjs/common';
import { statement } from '../database';
import { SystemDatabase } from '../database/system';
import type { RegisteredConsumer } from './consumers';
import { batchSize } from './settings';

/**
 * Takes a batch of events that no other relay holds, writes a delivery for each consumer of their types, and marks them, in
 * one transaction: there is no moment at which an event is marked and not yet to be delivered, or the other way round.
 * Found by the mark alone; ids and times commit in any order.
 */
const relay = statement<{ events: number; deliveries: number }>(
  'outbox.relay',
  `WITH batch AS (
     SELECT id FROM outbox_events WHERE relayed_at IS NULL ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED
   ), relayed AS (
     UPDATE outbox_events e SET relayed_at = now() FROM batch WHERE e.id = batch.id RETURNING e.id, e.tenant_id, e.type
   ), written AS (
     INSERT INTO event_deliveries (event_id, consumer, tenant_id)
     SELECT relayed.id, wanted.consumer, relayed.tenant_id
     FROM relayed JOIN unnest($2::text[], $3::text[]) AS wanted (type, consumer) ON wanted.type = relayed.type
     ON CONFLICT DO NOTHING RETURNING 1
   )
   SELECT (SELECT count(*) FROM relayed)::int AS events, (SELECT count(*) FROM written)::int AS deliveries`,
);

/** Moves committed events to those who want to hear of them. Any number may run at once. */
@Injectable()
export class Relay {
  constructor(private readonly system: SystemDatabase) {}

  /** Moves one batch. @returns how many events and how many new deliveries; a full batch means that there may be more */
  async move(consumers: readonly RegisteredConsumer[]): Promise<{ events: number; deliveries: number; full: boolean }> {
    const pairs = consumers.flatMap(({ name, eventTypes }) => eventTypes.map((type) => ({ name, type })));
    const types = pairs.map(({ type }) => type);
    const names = pairs.map(({ name }) => name);
    const [moved] = await this.system.run((sql) => sql.query(relay, [batchSize, types, names]));
    if (!moved) throw new Error('A query of one row gave none');
    return { ...moved, full: moved.events === batchSize };
  }
}
