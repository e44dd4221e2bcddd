import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a subject of a chain is found by. */
const subjectHash = `hashtextextended(of_chain || ' ' || subject, 0)`;

/** Searches by subject believe the index, so whoever verifies the log may ask whether it says what the entries say. */
export class CompareAuditIndex1764000000500 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      SET LOCAL ROLE gatehouse_lookup;

      -- The first of the 128 numbers of the first block whose index is not what index_audit_blocks() would make of it; NULL
      -- where there is none. A number, nothing else. A block that is due is read entry by entry, and has no index yet.
      CREATE FUNCTION audit_index_fault(of_chain text) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
        BEGIN ATOMIC
          WITH full_blocks AS (
            SELECT generate_series(0, (max(seq) + 1) / 128 - 1) AS block FROM public.audit_entries WHERE practice_id = of_chain
            EXCEPT SELECT block FROM public.audit_blocks_due WHERE chain = of_chain
          ), said AS (
            SELECT full_blocks.block, ${subjectHash} AS subject, (entry.seq % 128)::int AS place
            FROM full_blocks JOIN public.audit_entries entry
              ON entry.practice_id = of_chain AND entry.seq BETWEEN full_blocks.block * 128 AND full_blocks.block * 128 + 127
            CROSS JOIN LATERAL json_array_elements_text(entry.body -> 'subjects') AS subject
          ), indexed AS (
            SELECT found.block, found.subjects[mention / 128 + 1] AS subject, mention % 128 AS place
            FROM public.audit_blocks found CROSS JOIN LATERAL unnest(found.mentions) AS mention
            WHERE found.chain = of_chain AND found.block NOT IN (SELECT block FROM public.audit_blocks_due WHERE chain = of_chain)
          )
          SELECT min(block) * 128 FROM (
            (SELECT * FROM said EXCEPT SELECT * FROM indexed) UNION ALL (SELECT * FROM indexed EXCEPT SELECT * FROM said)
          ) AS differing;
        END;
      REVOKE ALL ON FUNCTION audit_index_fault(text) FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION audit_index_fault(text) TO gatehouse_system;

      RESET ROLE;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The audit log is not taken away'));
  }
}
