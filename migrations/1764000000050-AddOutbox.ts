import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The outbox: what happened, and who still has to hear of it. */
export class AddOutbox1764000000050 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE outbox_events (
        id             text PRIMARY KEY,
        tenant_id      text NOT NULL,
        type           text NOT NULL,
        payload        jsonb NOT NULL,
        correlation_id text NOT NULL,
        traceparent    text,
        created_at     timestamptz NOT NULL DEFAULT now(),
        -- Set in the transaction that writes the event's deliveries.
        relayed_at     timestamptz
      ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
      CREATE INDEX outbox_events_to_relay ON outbox_events (created_at) WHERE relayed_at IS NULL;
      -- For the removal of old events; rows arrive in this order, so BRIN costs inserts next to nothing.
      CREATE INDEX outbox_events_by_age ON outbox_events USING brin (created_at);

      CREATE TABLE event_deliveries (
        event_id         text NOT NULL,
        consumer         text NOT NULL,
        tenant_id        text NOT NULL,
        state            text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'dead')),
        -- Counted when an attempt begins, and the attempt's fencing token.
        attempts         integer NOT NULL DEFAULT 0,
        -- No attempt may begin before: a retry's time, or the end of a running attempt's lease.
        next_attempt_at  timestamptz NOT NULL DEFAULT now(),
        -- When it is to be put on the queue, again if need be; null once it is done or dead.
        draw_at          timestamptz DEFAULT now(),
        -- Set while it should be on the queue with no attempt begun.
        published_at     timestamptz,
        last_error_class text,
        finished_at      timestamptz,
        PRIMARY KEY (event_id, consumer),
        CHECK ((state = 'pending') = (draw_at IS NOT NULL))
      ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
      -- The tenant stands before the time, so that each tenant's oldest is one probe away, however long another's backlog. Its
      -- condition is not the state: the planner would then prefer it to the primary key for a single delivery, and read
      -- the whole backlog of the consumer.
      CREATE INDEX event_deliveries_to_draw ON event_deliveries (consumer, tenant_id, draw_at) WHERE draw_at IS NOT NULL;
      CREATE INDEX event_deliveries_dead ON event_deliveries (event_id, consumer) WHERE state = 'dead';

      DO $$
      DECLARE target text;
      BEGIN
        FOREACH target IN ARRAY ARRAY['outbox_events', 'event_deliveries'] LOOP
          EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target);
          EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', target);
          EXECUTE format(
            'CREATE POLICY tenant ON %I
               USING (tenant_id = current_setting(''gatehouse.tenant'', true))', target);
          EXECUTE format('CREATE POLICY system ON %I TO gatehouse_system USING (true)', target);
        END LOOP;
      END $$;

      GRANT SELECT, INSERT ON outbox_events TO gatehouse_app;
      GRANT SELECT, UPDATE ON event_deliveries TO gatehouse_app;
      GRANT SELECT, UPDATE, DELETE ON outbox_events TO gatehouse_system;
      GRANT SELECT, INSERT, UPDATE, DELETE ON event_deliveries TO gatehouse_system;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Events are not thrown away: restore a backup instead'));
  }
}
