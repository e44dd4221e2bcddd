import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How many appointments a practice booked, cancelled and moved on each of its local days. */
export class AddBookingDailyCounts1764000000060 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE booking_daily_counts (
        practice_id text NOT NULL REFERENCES practices,
        day         date NOT NULL,
        booked      integer NOT NULL DEFAULT 0,
        cancelled   integer NOT NULL DEFAULT 0,
        rescheduled integer NOT NULL DEFAULT 0,
        PRIMARY KEY (practice_id, day)
      ) WITH (fillfactor = 50);
      ALTER TABLE booking_daily_counts ENABLE ROW LEVEL SECURITY;
      ALTER TABLE booking_daily_counts FORCE ROW LEVEL SECURITY;
      CREATE POLICY tenant ON booking_daily_counts
        USING (practice_id = current_setting('gatehouse.tenant', true));
      GRANT SELECT, INSERT, UPDATE ON booking_daily_counts TO gatehouse_app;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Counts are not thrown away: restore a backup instead'));
  }
}
