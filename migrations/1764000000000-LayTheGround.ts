import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Roles, practices, and the tables of the first domains, each under row-level security. */
export class LayTheGround1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Group roles: logins are made members of them. They are of the whole cluster, hence the guards.
      DO $$ BEGIN CREATE ROLE gatehouse_app NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
      DO $$ BEGIN CREATE ROLE gatehouse_system NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
      DO $$ BEGIN CREATE ROLE gatehouse_lookup NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;

      REVOKE CREATE ON SCHEMA public FROM PUBLIC;
      GRANT USAGE ON SCHEMA public TO gatehouse_app, gatehouse_system, gatehouse_lookup;

      CREATE TABLE practices (
        id         text PRIMARY KEY,
        name       text NOT NULL,
        time_zone  text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
      );

      CREATE TABLE staff (
        practice_id text NOT NULL REFERENCES practices,
        id          text NOT NULL,
        name        text NOT NULL,
        role        text NOT NULL,
        PRIMARY KEY (practice_id, id)
      );

      CREATE TABLE patients (
        practice_id        text NOT NULL REFERENCES practices,
        id                 text NOT NULL UNIQUE,
        first_name         text NOT NULL,
        last_name          text NOT NULL,
        date_of_birth      date NOT NULL,
        phone              text,
        email              text,
        insurance_provider text,
        created_at         timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (practice_id, id)
      );
      CREATE INDEX patients_by_name ON patients (practice_id, last_name, first_name, id);

      CREATE TABLE slots (
        practice_id text NOT NULL REFERENCES practices,
        id          text NOT NULL UNIQUE,
        provider_id text NOT NULL,
        date        date NOT NULL,
        time        time(0) NOT NULL,
        starts_at   timestamptz NOT NULL,
        status      text NOT NULL DEFAULT 'available' CHECK (status IN ('available', 'booked', 'blocked')),
        PRIMARY KEY (practice_id, id),
        FOREIGN KEY (practice_id, provider_id) REFERENCES staff,
        UNIQUE (practice_id, provider_id, date, time)
      ) WITH (fillfactor = 80);
      CREATE INDEX slots_by_day ON slots (practice_id, date, time, id);

      CREATE TABLE appointments (
        practice_id text NOT NULL,
        id          text NOT NULL,
        patient_id  text NOT NULL,
        slot_id     text NOT NULL,
        type        text NOT NULL,
        status      text NOT NULL DEFAULT 'confirmed' CHECK (status IN ('confirmed', 'cancelled', 'completed')),
        booked_by   text NOT NULL,
        created_at  timestamptz NOT NULL DEFAULT now(),
        updated_at  timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (practice_id, id),
        FOREIGN KEY (practice_id, patient_id) REFERENCES patients,
        FOREIGN KEY (practice_id, slot_id) REFERENCES slots
      ) WITH (fillfactor = 80);
      -- The last line of defence: whatever the program does, a slot is held by one appointment.
      CREATE UNIQUE INDEX appointments_one_for_a_slot ON appointments (practice_id, slot_id) WHERE status <> 'cancelled';
      CREATE INDEX appointments_of_patient ON appointments (practice_id, patient_id, id);

      CREATE TABLE idempotency_records (
        tenant_id    text NOT NULL,
        key_hash     bytea NOT NULL,
        request_hash bytea NOT NULL,
        status       smallint NOT NULL,
        body         text,
        expires_at   timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, key_hash)
      );
      -- Rows arrive in the order in which they expire, so a BRIN index finds the old ones at almost no cost to inserts.
      CREATE INDEX idempotency_records_by_expiry ON idempotency_records USING brin (expires_at);

      ALTER TABLE practices ENABLE ROW LEVEL SECURITY;
      ALTER TABLE practices FORCE ROW LEVEL SECURITY;
      CREATE POLICY tenant ON practices USING (id = current_setting('gatehouse.tenant', true));
      CREATE POLICY system ON practices TO gatehouse_system USING (true);

      DO $$
      DECLARE target text;
      BEGIN
        FOREACH target IN ARRAY ARRAY['staff', 'patients', 'slots', 'appointments'] LOOP
          EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target);
          EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', target);
          EXECUTE format(
            'CREATE POLICY tenant ON %I
               USING (practice_id = current_setting(''gatehouse.tenant'', true))', target);
        END LOOP;
      END $$;

      ALTER TABLE idempotency_records ENABLE ROW LEVEL SECURITY;
      ALTER TABLE idempotency_records FORCE ROW LEVEL SECURITY;
      CREATE POLICY tenant ON idempotency_records
        USING (tenant_id = current_setting('gatehouse.tenant', true));
      CREATE POLICY system ON idempotency_records TO gatehouse_system USING (true);

      GRANT SELECT ON practices, staff TO gatehouse_app;
      GRANT SELECT, INSERT, UPDATE ON patients, appointments, idempotency_records TO gatehouse_app;
      GRANT SELECT, UPDATE ON slots TO gatehouse_app;
      GRANT SELECT, DELETE ON idempotency_records TO gatehouse_system;

      -- Whose patient or slot is it? To answer 403 instead of 404 without opening a hole, one narrow function each tells
      -- the practice of an identifier and nothing else. It runs as a role that may read these two columns alone.
      CREATE POLICY lookup ON patients FOR SELECT TO gatehouse_lookup USING (true);
      CREATE POLICY lookup ON slots FOR SELECT TO gatehouse_lookup USING (true);
      GRANT SELECT (id, practice_id) ON patients, slots TO gatehouse_lookup;

      CREATE FUNCTION practice_of_patient(patient text) RETURNS text
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        RETURN (SELECT practice_id FROM public.patients WHERE id = patient);
      CREATE FUNCTION practice_of_slot(slot text) RETURNS text
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        RETURN (SELECT practice_id FROM public.slots WHERE id = slot);
      REVOKE ALL ON FUNCTION practice_of_patient(text), practice_of_slot(text) FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION practice_of_patient(text), practice_of_slot(text) TO gatehouse_app;

      -- A function is given to another role only by a member of it that may create here; both are taken back at once.
      GRANT gatehouse_lookup TO CURRENT_USER WITH SET TRUE;
      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      ALTER FUNCTION practice_of_patient(text) OWNER TO gatehouse_lookup;
      ALTER FUNCTION practice_of_slot(text) OWNER TO gatehouse_lookup;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The ground is not taken away: restore a backup instead'));
  }
}
