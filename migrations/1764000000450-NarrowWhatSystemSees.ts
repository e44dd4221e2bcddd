import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who throws away old answers sees when they expire, and nothing of what they say: a created patient is told with all fields. */
export class NarrowWhatSystemSees1764000000450 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      REVOKE SELECT ON idempotency_records FROM gatehouse_system;
      GRANT SELECT (tenant_id, key_hash, expires_at) ON idempotency_records TO gatehouse_system;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('GRANT SELECT ON idempotency_records TO gatehouse_system');
  }
}
