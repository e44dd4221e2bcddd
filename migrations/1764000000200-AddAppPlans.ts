import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The usage plans that operators gave to apps. Of no tenant: only the role for cross-tenant work may touch them. */
export class AddAppPlans1764000000200 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE app_plans (
        client_id      text COLLATE "C" PRIMARY KEY,
        plan           text NOT NULL CHECK (plan IN ('standard', 'enterprise', 'internal')),
        changed_at     timestamptz NOT NULL DEFAULT now(),
        changed_by     text NOT NULL,
        -- Every node polls for what committed since its last poll; only the transaction's own number says that.
        transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id()
      );
      CREATE INDEX app_plans_by_transaction ON app_plans (transaction_id);

      REVOKE ALL ON app_plans FROM PUBLIC;
      GRANT SELECT, INSERT, UPDATE ON app_plans TO gatehouse_system;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE app_plans');
  }
}
