import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tokens revoked before their time. Of no tenant: only the role for cross-tenant work may touch them. */
export class AddRevocations1764000000100 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE revocations (
        id             text COLLATE "C" PRIMARY KEY,
        kind           text NOT NULL CHECK (kind IN ('jti', 'sub', 'clientId')),
        value          text NOT NULL,
        revoked_at     timestamptz NOT NULL,
        expires_at     timestamptz NOT NULL,
        revoked_by     text NOT NULL,
        -- Every node polls for what committed since its last poll; only the transaction's own number says that.
        transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id()
      );
      CREATE INDEX revocations_by_transaction ON revocations (transaction_id);
      CREATE INDEX revocations_by_expiry ON revocations (expires_at);

      REVOKE ALL ON revocations FROM PUBLIC;
      GRANT SELECT, INSERT, DELETE ON revocations TO gatehouse_system;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE revocations');
  }
}
