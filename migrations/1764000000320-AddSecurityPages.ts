import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the security contact was told of the audit log's cross-practice attempts, and has still to be told. */
export class AddSecurityPages1764000000320 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- The usual entry does not pay for it. Whoever tried is found by halving, not by reading what they tried.
      CREATE INDEX audit_entries_cross_practice ON audit_entries (practice_id, actor, seq)
        WHERE body ->> 'code' = 'cross_practice';

      -- Not named practice_id: like the audit log, it outlives a practice, else all attempts would be new again; and the
      -- chain may be the platform's.
      CREATE TABLE security_pages (
        chain             text COLLATE "C" NOT NULL,
        actor             text COLLATE "C" NOT NULL,
        -- All attempts up to this number stand in a page. A chain's numbers commit in their order.
        paged_through_seq bigint NOT NULL,
        last_paged_at     timestamptz NOT NULL,
        PRIMARY KEY (chain, actor)
      );

      -- A page on its way over one channel; it is removed once it arrived.
      CREATE TABLE security_notices (
        channel         text NOT NULL CHECK (channel IN ('mail', 'webhook')),
        chain           text COLLATE "C" NOT NULL,
        actor           text COLLATE "C" NOT NULL,
        first_seq       bigint NOT NULL,
        last_seq        bigint NOT NULL,
        attempts        integer NOT NULL,
        first_at        timestamptz NOT NULL,
        last_at         timestamptz NOT NULL,
        created_at      timestamptz NOT NULL DEFAULT now(),
        -- Counted when it begins to be sent, and the fencing token.
        tries           integer NOT NULL DEFAULT 0,
        -- A retry's time, or the end of the lease of whoever sends it.
        next_attempt_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (channel, chain, actor, first_seq)
      );
      CREATE INDEX security_notices_due ON security_notices (channel, next_attempt_at);

      -- Whoever cuts pages holds the one row. Not an advisory lock: the runtime role could take one, and keep it.
      CREATE TABLE security_pager (id boolean PRIMARY KEY DEFAULT true CHECK (id));
      INSERT INTO security_pager DEFAULT VALUES;

      DO $$
      DECLARE target text;
      BEGIN
        FOREACH target IN ARRAY ARRAY['security_pager', 'security_pages', 'security_notices'] LOOP
          EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target);
          EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', target);
          EXECUTE format('CREATE POLICY system ON %I TO gatehouse_system USING (true) WITH CHECK (true)', target);
          EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', target);
        END LOOP;
      END $$;
      GRANT SELECT, UPDATE ON security_pager TO gatehouse_system;
      GRANT SELECT, INSERT, UPDATE ON security_pages TO gatehouse_system;
      GRANT SELECT, INSERT, UPDATE, DELETE ON security_notices TO gatehouse_system;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'DROP TABLE security_notices, security_pages, security_pager; DROP INDEX audit_entries_cross_practice',
    );
  }
}
