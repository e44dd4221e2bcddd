import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What a tenant writes into the outbox is read by processes that work for all: it is as short as the application makes it. And a
 * delivery stays the one of its event: under another's event id it would have stood in the place of that one's.
 */
export class BoundEvents1764000000560 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Of what has still to be relayed: what is there may be too long already, and must not keep its relay from marking it.
      ALTER TABLE outbox_events ADD CONSTRAINT outbox_events_bounds CHECK (relayed_at IS NOT NULL OR (
        octet_length(id) <= 64 AND octet_length(tenant_id) <= 64 AND octet_length(type) <= 64
        AND octet_length(correlation_id) <= 128 AND octet_length(traceparent) <= 64 AND octet_length(payload::text) <= 65536
      )) NOT VALID;
      REVOKE UPDATE ON outbox_events FROM gatehouse_system;
      GRANT UPDATE (relayed_at) ON outbox_events TO gatehouse_system;
      REVOKE UPDATE ON event_deliveries FROM gatehouse_app;
      GRANT UPDATE (state, attempts, next_attempt_at, draw_at, published_at, last_error_class, finished_at)
        ON event_deliveries TO gatehouse_app;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE outbox_events DROP CONSTRAINT outbox_events_bounds;
      GRANT UPDATE ON event_deliveries TO gatehouse_app;
    `);
  }
}
