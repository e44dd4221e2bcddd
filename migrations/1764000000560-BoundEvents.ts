import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What a tenant writes into the outbox is read by processes that work for all: it is as short as the application makes it. And a
 * delivery stays the one of its event: under another's event id it would have stood in the place of that one's.
 */
export class BoundEvents1764000000560 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE outbox_events ADD CONSTRAINT outbox_events_bounds CHECK (
        octet_length(id) <= 64 AND octet_length(tenant_id) <= 64 AND octet_length(type) <= 64
        AND octet_length(correlation_id) <= 128 AND octet_length(traceparent) <= 64 AND octet_length(payload::text) <= 65536
      );
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
