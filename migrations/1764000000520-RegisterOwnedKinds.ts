import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whose ids are looked up stands in a table, in which each domain's migration puts its own. */
export class RegisterOwnedKinds1764000000520 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE owned_kinds (
        prefix       text PRIMARY KEY CHECK (prefix ~ '^[a-z]{2,8}_$'),
        subject_type text NOT NULL,
        -- Has an id and a practice_id.
        relation     regclass NOT NULL
      );
      REVOKE ALL ON owned_kinds FROM PUBLIC;
      GRANT SELECT ON owned_kinds TO gatehouse_system, gatehouse_lookup;

      -- Of a practice's things with ids of this prefix, owners_of() tells the practice. For migrations, once a kind.
      CREATE FUNCTION register_owned_kind(prefix text, subject_type text, relation regclass) RETURNS void
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
          IF NOT EXISTS (
            SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = relation AND a.attname = 'id' AND i.indisvalid AND i.indpred IS NULL
          ) THEN
            RAISE EXCEPTION 'The table % needs an index that begins with id, by which its owners are found', relation;
          END IF;
          IF EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = relation AND attname IN ('id', 'practice_id') AND atttypid <> 'text'::regtype
          ) THEN
            RAISE EXCEPTION 'The id and the practice_id of % are to be text, as they are asked for', relation;
          END IF;
          EXECUTE format('GRANT SELECT (id, practice_id) ON %s TO gatehouse_lookup', relation);
          IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = relation AND polname = 'lookup') THEN
            EXECUTE format('CREATE POLICY lookup ON %s FOR SELECT TO gatehouse_lookup USING (true)', relation);
          END IF;
          INSERT INTO public.owned_kinds VALUES (prefix, subject_type, relation);
        END $$;
      REVOKE ALL ON FUNCTION register_owned_kind(text, text, regclass) FROM PUBLIC;

      SELECT register_owned_kind('pat_', 'patient', 'patients'), register_owned_kind('slot_', 'slot', 'slots'),
             register_owned_kind('appt_', 'appointment', 'appointments');

      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      SET LOCAL ROLE gatehouse_lookup;

      -- No row for what nobody has. An id is of the kind that its prefix says: a row of another kind with the same id would
      -- make an attempt of what is none. A domain that was removed may have left its kind behind.
      CREATE OR REPLACE FUNCTION owners_of(ids text[]) RETURNS TABLE (id text, subject_type text, practice_id text)
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
        DECLARE
          kind record;
          asked text[];
        BEGIN
          FOR kind IN SELECT k.* FROM public.owned_kinds k JOIN pg_class c ON c.oid = k.relation LOOP
            asked := ARRAY(SELECT given FROM unnest(ids) AS given WHERE starts_with(given, kind.prefix));
            CONTINUE WHEN asked = '{}';
            RETURN QUERY EXECUTE format('SELECT o.id, $2, o.practice_id FROM %s AS o WHERE o.id = ANY ($1)', kind.relation)
              USING asked, kind.subject_type;
          END LOOP;
        END $$;

      RESET ROLE;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Owners are looked up by kind'));
  }
}
