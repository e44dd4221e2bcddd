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
      -- No pending list: whoever fills it has to merge it, while the lock of a chain is held.
      CREATE INDEX audit_entries_by_subject ON audit_entries USING gin (subjects jsonb_path_ops) WITH (fastupdate = off);

      -- Whoever appends to a chain holds its row. Not an advisory lock: the runtime role could take one, and keep it.
      CREATE TABLE audit_chains (chain text COLLATE "C" PRIMARY KEY);
      ALTER TABLE audit_chains ENABLE ROW LEVEL SECURITY;
      ALTER TABLE audit_chains FORCE ROW LEVEL SECURITY;
      CREATE POLICY lookup ON audit_chains TO gatehouse_lookup USING (true) WITH CHECK (true);
      REVOKE ALL ON audit_chains FROM PUBLIC;
      GRANT SELECT, INSERT, UPDATE ON audit_chains TO gatehouse_lookup;

      -- Appends to chains in one statement: whoever calls it can neither freeze nor be slow while it holds a chain. For each
      -- chain its practice and how many of the entries are its; for each entry its id, its time and the rest of its body.
      CREATE FUNCTION append_audit_entries(practices text[], counts int[], ids text[], times text[], said json)
        RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
        -- Plans are kept, and the first may be made while the log is empty, when reading all of it is cheapest.
        SET enable_seqscan = off AS $$
      DECLARE
        rests CONSTANT text[] := ARRAY(SELECT value::text FROM json_array_elements(said));
        bodies text[] := '{}';
        hashes bytea[] := '{}';
        n int := 0;
        held int;
        head text;
        number bigint;
        link bytea;
        made text COLLATE "C";
      BEGIN
        -- All who take several take them in one order.
        PERFORM FROM public.audit_chains WHERE chain = ANY (practices) ORDER BY chain FOR UPDATE;
        GET DIAGNOSTICS held = ROW_COUNT;
        IF held < cardinality(practices) THEN
          INSERT INTO public.audit_chains (chain) SELECT name FROM unnest(practices) AS name ORDER BY name COLLATE "C" ON CONFLICT DO NOTHING;
          PERFORM FROM public.audit_chains WHERE chain = ANY (practices) ORDER BY chain FOR UPDATE;
        END IF;
        FOR c IN 1 .. cardinality(practices) LOOP
          head := '{"v":1,"practice":' || to_json(practices[c])::text || ',"seq":';
          SELECT seq, hash, body ->> 'at' INTO number, link, made
            FROM public.audit_entries WHERE practice_id = practices[c] ORDER BY seq DESC LIMIT 1;
          IF NOT FOUND THEN
            number := 0;
            link := sha256(convert_to(E'gatehouse audit chain 1\\n' || practices[c], 'UTF8'));
            made := '';
          END IF;
          FOR e IN 1 .. counts[c] LOOP
            n := n + 1;
            number := number + 1;
            -- Number and time rise together, whatever the clocks of two processes say: a time is found by its number.
            made := greatest(made, times[n]);
            bodies[n] := head || number || ',"id":"' || ids[n] || '","at":"' || made || '",' || substr(rests[n], 2);
            link := sha256(link || convert_to(bodies[n], 'UTF8'));
            hashes[n] := link;
          END LOOP;
        END LOOP;
        INSERT INTO public.audit_entries (body, hash)
          SELECT body::json, hash FROM unnest(bodies, hashes) AS made_of (body, hash);
      END $$;

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
      CREATE POLICY system ON audit_entries FOR SELECT TO gatehouse_system USING (true);
      -- The role that nobody can log in as. Its functions alone look a subject up and append: an entry that stands in no
      -- chain's order can be put in by nobody.
      CREATE POLICY lookup ON audit_entries FOR SELECT TO gatehouse_lookup USING (true);
      CREATE POLICY append ON audit_entries FOR INSERT TO gatehouse_lookup WITH CHECK (true);
      GRANT SELECT ON audit_entries TO gatehouse_app, gatehouse_system, gatehouse_lookup;
      GRANT INSERT ON audit_entries TO gatehouse_lookup;

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

      REVOKE ALL ON FUNCTION append_audit_entries(text[], int[], text[], text[], json) FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION append_audit_entries(text[], int[], text[], text[], json) TO gatehouse_system;
      REVOKE ALL ON FUNCTION audit_entries_about(text), practice_of_appointment(text) FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION audit_entries_about(text), practice_of_appointment(text) TO gatehouse_app;
      GRANT gatehouse_lookup TO CURRENT_USER WITH SET TRUE;
      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      ALTER FUNCTION append_audit_entries(text[], int[], text[], text[], json) OWNER TO gatehouse_lookup;
      ALTER FUNCTION audit_entries_about(text) OWNER TO gatehouse_lookup;
      ALTER FUNCTION practice_of_appointment(text) OWNER TO gatehouse_lookup;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The audit log is not taken away'));
  }
}
