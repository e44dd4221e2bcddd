import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who stands in one block of 128 numbers of a chain, by the block and the subject; `jsonb_path_ops` keeps the hash of both. */
const namedInBlock = `jsonb_set('{}', ARRAY[practice_id || ' ' || seq / 128], (body -> 'subjects')::jsonb)`;
const tenant = `current_setting('gatehouse.tenant', true)`;

/**
 * The index on subjects takes a few bytes for each, however often they were read. GIN keeps the places of a key in one tuple,
 * and writes and logs all of it with every entry that names it: of a front desk's first page, 40 kB a look. A key for each
 * block keeps the tuples short. The subjects themselves stand in the body alone.
 */
export class IndexAuditSubjectsByBlock1764000000420 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION audit_entries_about(text);
      ALTER TABLE audit_entries DROP COLUMN subjects;
      -- No pending list: whoever fills it has to merge it, while the lock of a chain is held.
      CREATE INDEX audit_entries_by_subject ON audit_entries USING gin ((${namedInBlock}) jsonb_path_ops) WITH (fastupdate = off);

      -- jsonb's operators are not leakproof: under row-level security the index would never be used. The function looks the
      -- subject up in the tenant's own blocks and gives numbers, nothing else.
      CREATE FUNCTION audit_entries_about(subject text, first bigint, last bigint) RETURNS SETOF bigint
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
        BEGIN ATOMIC
          SELECT entry.seq
          FROM generate_series(
            greatest(first, 1) / 128,
            -- An empty chain has no last number, and least() would pass over it.
            least(last, coalesce((SELECT max(seq) FROM public.audit_entries WHERE practice_id = ${tenant}), 0)) / 128
          ) AS block CROSS JOIN LATERAL (
            SELECT seq FROM public.audit_entries
            WHERE ${namedInBlock} @> jsonb_build_object(${tenant} || ' ' || block, jsonb_build_array(subject))
          ) AS entry
          WHERE ${tenant} <> 'platform' AND entry.seq BETWEEN first AND last;
        END;
      REVOKE ALL ON FUNCTION audit_entries_about(text, bigint, bigint) FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION audit_entries_about(text, bigint, bigint) TO gatehouse_app;
      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      ALTER FUNCTION audit_entries_about(text, bigint, bigint) OWNER TO gatehouse_lookup;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The audit log is not taken away'));
  }
}
