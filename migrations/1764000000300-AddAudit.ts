import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The audit log: one append-only, hash-chained list of entries for each practice, and one for the platform. */
export class AddAudit1764000000300 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- What was hashed is the body, kept to the byte (json, not jsonb); everything that is searched is generated from it,
      -- so that no column can say anything else than what the hash vouches for.
      CREATE TABLE audit_entries (
        body        json NOT NULL,
        hash        bytea NOT NULL CHECK (octet_length(hash) = 32),
        practice_id text COLLATE "C" GENERATED ALWAYS AS (body ->> 'practice') STORED,
        seq         bigint GENERATED ALWAYS AS ((body ->> 'seq')::bigint) STORED,
        actor       text COLLATE "C" GENERATED ALWAYS AS (body ->> 'actor') STORED,
        action      text COLLATE "C" GENERATED ALWAYS AS (body ->> 'action') STORED,
        outcome     text COLLATE "C" GENERATED ALWAYS AS (body ->> 'outcome') STORED,
        subjects    jsonb GENERATED ALWAYS AS ((body -> 'subjects')::jsonb) STORED,
        PRIMARY KEY (practice_id, seq)
      );
      CREATE INDEX audit_entries_by_actor ON audit_entries (practice_id, actor, seq);
      CREATE INDEX audit_entries_by_action ON audit_entries (practice_id, action, seq);
      -- What was refused or failed is rare and asked for most; the usual entry does not pay for it.
      CREATE INDEX audit_entries_not_allowed ON audit_entries (practice_id, outcome, seq) WHERE outcome <> 'allowed';
      -- A small pending list: it is merged by whoever fills it, while the lock of a chain is held.
      CREATE INDEX audit_entries_by_subject ON audit_entries USING gin (subjects jsonb_path_ops)
        WITH (gin_pending_list_limit = 512);

      CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION 'The audit log is append-only' USING ERRCODE = 'insufficient_privilege';
      END $$;
      CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

      ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY;
      ALTER TABLE audit_entries FORCE ROW LEVEL SECURITY;
      -- A token that names the platform's chain as its practice reads nothing of it.
      CREATE POLICY tenant ON audit_entries FOR SELECT TO gatehouse_app
        USING (practice_id = current_setting('gatehouse.tenant', true) AND practice_id <> 'platform');
      CREATE POLICY system ON audit_entries TO gatehouse_system USING (true) WITH CHECK (true);
      CREATE POLICY lookup ON audit_entries FOR SELECT TO gatehouse_lookup USING (true);
      GRANT SELECT ON audit_entries TO gatehouse_app;
      GRANT SELECT, INSERT ON audit_entries TO gatehouse_system;
      GRANT SELECT (practice_id, seq, subjects) ON audit_entries TO gatehouse_lookup;

      -- jsonb's operators are not leakproof: under row-level security the index on subjects would never be used. The
      -- function looks it up and gives the numbers of the tenant's own entries, nothing else.
      CREATE FUNCTION audit_entries_about(subject text) RETURNS SETOF bigint
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        BEGIN ATOMIC
          SELECT seq FROM public.audit_entries
          WHERE subjects @> to_jsonb(subject) AND practice_id = current_setting('gatehouse.tenant', true)
            AND practice_id <> 'platform';
        END;

      -- Whose appointment is it? As practice_of_patient and practice_of_slot.
      CREATE UNIQUE INDEX appointments_by_id ON appointments (id);
      CREATE POLICY lookup ON appointments FOR SELECT TO gatehouse_lookup USING (true);
      GRANT SELECT (id, practice_id) ON appointments TO gatehouse_lookup;
      CREATE FUNCTION practice_of_appointment(appointment text) RETURNS text
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        RETURN (SELECT practice_id FROM public.appointments WHERE id = appointment);

      REVOKE ALL ON FUNCTION audit_entries_about(text), practice_of_appointment(text) FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION audit_entries_about(text), practice_of_appointment(text) TO gatehouse_app;
      GRANT gatehouse_lookup TO CURRENT_USER WITH SET TRUE;
      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      ALTER FUNCTION audit_entries_about(text) OWNER TO gatehouse_lookup;
      ALTER FUNCTION practice_of_appointment(text) OWNER TO gatehouse_lookup;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The audit log is not taken away'));
  }
}
