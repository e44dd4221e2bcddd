import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whose is what somebody asked for whose role may not? For the page: such an attempt is one across practices, too. */
export class FindOwnersOfWhatIsRefused1764000000490 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      SET LOCAL ROLE gatehouse_lookup;

      -- As practice_of_patient and its like, of many at once; no row for what nobody has. An id is of the kind that it says:
      -- a row of another kind with the same id would make an attempt of what is none.
      CREATE FUNCTION owners_of(ids text[]) RETURNS TABLE (id text, subject_type text, practice_id text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
        BEGIN ATOMIC
          SELECT asked.id, found.subject_type, found.practice_id FROM unnest(ids) AS asked (id) CROSS JOIN LATERAL (
            SELECT 'patient' AS subject_type, p.practice_id FROM public.patients p WHERE p.id = asked.id AND starts_with(asked.id, 'pat_')
            UNION ALL SELECT 'slot', s.practice_id FROM public.slots s WHERE s.id = asked.id AND starts_with(asked.id, 'slot_')
            UNION ALL SELECT 'appointment', a.practice_id FROM public.appointments a WHERE a.id = asked.id AND starts_with(asked.id, 'appt_')
          ) AS found;
        END;
      REVOKE ALL ON FUNCTION owners_of(text[]) FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION owners_of(text[]) TO gatehouse_system;

      RESET ROLE;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;

      -- When an event was made, and in what order it is relayed, is not for the runtime role to say.
      REVOKE INSERT ON outbox_events FROM gatehouse_app;
      GRANT INSERT (id, tenant_id, type, payload, correlation_id, traceparent) ON outbox_events TO gatehouse_app;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('What is asked for across practices is told'));
  }
}
