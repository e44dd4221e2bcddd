import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a patient's record needs beside what leaves: encrypted fields, and terms by which a search finds it. */
export class CompletePatients1764000000310 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE patients
        ADD COLUMN ssn_encrypted   text,
        ADD COLUMN notes_encrypted text,
        ADD COLUMN updated_at      timestamptz NOT NULL DEFAULT now();
      CREATE INDEX patients_by_birth ON patients (practice_id, date_of_birth, last_name, first_name, id);

      -- Which keys encrypt what this database holds: a proof of each, no key. Of no tenant.
      CREATE TABLE field_keys (
        id            text PRIMARY KEY,
        proof         text NOT NULL,
        introduced_at timestamptz NOT NULL DEFAULT now(),
        -- Unset while values may be under it: from when it encrypts to when none of its values is left.
        retired_at    timestamptz
      );
      REVOKE ALL ON field_keys FROM PUBLIC;
      GRANT SELECT, INSERT, UPDATE ON field_keys TO gatehouse_system;

      -- A process whose key was retired while it ran would write what nobody can read once that key is thrown away. So a value
      -- is written only under a key in use, whose row stays locked to the end of the transaction: whoever retires the key
      -- waits for it, and then sees the value. Its arguments are the encrypted columns of the table.
      CREATE FUNCTION refuse_unusable_key() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE key text;
      BEGIN
        FOR key IN
          SELECT DISTINCT substring(value FROM '^v1:([A-Za-z0-9_-]{1,32}):')
          FROM (SELECT to_jsonb(NEW) ->> name, to_jsonb(OLD) ->> name FROM unnest(TG_ARGV) AS name) AS written (value, former)
          WHERE value IS NOT NULL AND value IS DISTINCT FROM former
        LOOP
          PERFORM FROM public.field_keys WHERE id = key AND retired_at IS NULL FOR SHARE;
          IF NOT FOUND THEN
            -- Never the value: it may be no encrypted one.
            RAISE EXCEPTION 'A value of % is under the key %, which is not in use', TG_TABLE_NAME, coalesce(key, '(none)')
              USING ERRCODE = 'KR001';
          END IF;
        END LOOP;
        RETURN NEW;
      END $$;
      REVOKE ALL ON FUNCTION refuse_unusable_key() FROM PUBLIC;
      CREATE TRIGGER refuse_unusable_key_insert BEFORE INSERT ON patients FOR EACH ROW
        WHEN (NEW.ssn_encrypted IS NOT NULL OR NEW.notes_encrypted IS NOT NULL)
        EXECUTE FUNCTION refuse_unusable_key('ssn_encrypted', 'notes_encrypted');
      CREATE TRIGGER refuse_unusable_key_update BEFORE UPDATE OF ssn_encrypted, notes_encrypted ON patients FOR EACH ROW
        WHEN (NEW.ssn_encrypted IS DISTINCT FROM OLD.ssn_encrypted OR NEW.notes_encrypted IS DISTINCT FROM OLD.notes_encrypted)
        EXECUTE FUNCTION refuse_unusable_key('ssn_encrypted', 'notes_encrypted');
      -- To lock a row takes the right to change one of its columns; this one decides nothing.
      GRANT SELECT (id, retired_at), UPDATE (introduced_at) ON field_keys TO gatehouse_lookup;
      GRANT gatehouse_lookup TO CURRENT_USER WITH SET TRUE;
      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      ALTER FUNCTION refuse_unusable_key() OWNER TO gatehouse_lookup;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;

      -- Work that goes practice by practice begins with their list; each is then entered under its own rules.
      GRANT SELECT (id) ON practices TO gatehouse_system;

      -- Folds what looks alike to one form: compatibility forms, case, marks, and the letters that Unicode does not take
      -- apart. Collations are named, so that the result depends on no server's locale.
      CREATE FUNCTION search_folded(raw text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        RETURN translate(
          replace(replace(replace(
            regexp_replace(
              normalize(casefold(normalize(raw, NFKD) COLLATE pg_unicode_fast), NFKD),
              '[\\u00AD\\u0300-\\u036F\\u0483-\\u0487\\u0591-\\u05BD\\u05BF\\u05C1\\u05C2\\u05C4\\u05C5\\u05C7\\u0610-\\u061A\\u064B-\\u065F\\u0670\\u1AB0-\\u1AFF\\u1DC0-\\u1DFF\\u200B-\\u200D\\u2060\\u20D0-\\u20F0\\uFE20-\\uFE2F\\uFEFF]',
              '', 'g'),
            'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
          'øłđðħŧıə', 'olddhtie');

      -- A term is looked up by range, so it ends before any text could make an index entry too long.
      CREATE FUNCTION search_joined(folded text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        RETURN left(regexp_replace(folded COLLATE pg_unicode_fast, '[^[:alnum:]]+', '', 'g'), 64);

      -- The rows that a function promises are what keeps the estimate of a search below the threshold of the JIT compiler.
      -- What is between spaces, without its apostrophes, hyphens and dots: O’Brien → obrien.
      CREATE FUNCTION search_words(folded text) RETURNS SETOF text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 2
        BEGIN ATOMIC
          SELECT DISTINCT search_joined(token)
          FROM regexp_split_to_table(folded, '[[:space:],;/]+') AS token
          WHERE search_joined(token) <> '';
        END;

      CREATE FUNCTION phone_digits(raw text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        RETURN regexp_replace(normalize(raw, NFKD), '[^0-9]+', '', 'g');

      -- O’Brien is found as obrien, o and brien, De La Cruz as de, la, cruz and delacruz; a phone by its whole number and
      -- its last 10, 7 and 4 digits, behind a # that no word of a name has.
      CREATE FUNCTION terms_of_patient(first_name text, last_name text, phone text) RETURNS SETOF text
        LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 8
        BEGIN ATOMIC
          WITH folded AS (SELECT search_folded(name) AS name FROM unnest(ARRAY[first_name, last_name]) AS name)
          SELECT search_words(folded.name) FROM folded
          UNION
          SELECT left(part, 64) FROM folded, regexp_split_to_table(folded.name COLLATE pg_unicode_fast, '[^[:alnum:]]+') AS part
          WHERE part <> ''
          UNION
          SELECT search_joined(folded.name) FROM folded WHERE search_joined(folded.name) <> ''
          UNION
          SELECT '#' || right(left(phone_digits(phone), 32), digits) FROM unnest(ARRAY[32, 10, 7, 4]) AS digits
          WHERE phone_digits(phone) <> '';
        END;

      -- Beyond 10 digits there is a country's or a trunk prefix before them, which may be written in several ways.
      CREATE FUNCTION words_of_phone(phone text) RETURNS SETOF text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 1
        BEGIN ATOMIC
          SELECT '#' || right(phone_digits(phone), 10) WHERE phone_digits(phone) <> '';
        END;

      -- What has digits and no letter is a phone.
      CREATE FUNCTION words_of_search(search text) RETURNS SETOF text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 2
        BEGIN ATOMIC
          WITH folded AS (SELECT search_folded(search) AS name),
               kind AS (SELECT name, name ~ '[0-9]' AND name !~ '[[:alpha:]]' COLLATE pg_unicode_fast AS is_phone FROM folded)
          SELECT search_words(name) FROM kind WHERE NOT is_phone
          UNION ALL
          SELECT words_of_phone(name) FROM kind WHERE is_phone;
        END;

      -- Under row-level security an index serves only leakproof operators. LIKE and @@ are not; comparisons of text are, so a
      -- prefix is a range here, in the order of bytes.
      CREATE TABLE patient_search_terms (
        practice_id text NOT NULL,
        term        text COLLATE "C" NOT NULL,
        patient_id  text NOT NULL,
        -- What a list is sorted by: a page is cut without a look at every patient who is found.
        last_name   text NOT NULL,
        first_name  text NOT NULL,
        PRIMARY KEY (practice_id, term, patient_id) INCLUDE (last_name, first_name)
      );
      ALTER TABLE patients NO FORCE ROW LEVEL SECURITY;
      INSERT INTO patient_search_terms (practice_id, term, patient_id, last_name, first_name)
        SELECT practice_id, term, id, last_name, first_name FROM patients, terms_of_patient(first_name, last_name, phone) AS term;
      ALTER TABLE patients FORCE ROW LEVEL SECURITY;
      CREATE INDEX patient_search_terms_of_patient ON patient_search_terms (practice_id, patient_id);
      ALTER TABLE patient_search_terms ENABLE ROW LEVEL SECURITY;
      ALTER TABLE patient_search_terms FORCE ROW LEVEL SECURITY;
      CREATE POLICY tenant ON patient_search_terms
        USING (practice_id = current_setting('gatehouse.tenant', true));
      GRANT SELECT, INSERT, DELETE ON patient_search_terms TO gatehouse_app;

      -- By statement, so that a bulk load costs two statements more, not one a row. As the role that changes the patients,
      -- under its rules. No foreign key: it would check every term, and the triggers do its work.
      CREATE FUNCTION keep_search_terms() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
      BEGIN
        IF TG_OP = 'INSERT' THEN
          INSERT INTO patient_search_terms (practice_id, term, patient_id, last_name, first_name)
            SELECT practice_id, term, id, last_name, first_name FROM new_rows, terms_of_patient(first_name, last_name, phone) AS term
            ON CONFLICT DO NOTHING;
        ELSIF TG_OP = 'DELETE' THEN
          DELETE FROM patient_search_terms t USING old_rows o WHERE t.practice_id = o.practice_id AND t.patient_id = o.id;
        ELSIF TG_OP = 'TRUNCATE' THEN
          TRUNCATE patient_search_terms;
        ELSE
          DELETE FROM patient_search_terms t
            USING (SELECT practice_id, id, first_name, last_name, phone FROM old_rows
                   EXCEPT SELECT practice_id, id, first_name, last_name, phone FROM new_rows) gone
            WHERE t.practice_id = gone.practice_id AND t.patient_id = gone.id;
          INSERT INTO patient_search_terms (practice_id, term, patient_id, last_name, first_name)
            SELECT practice_id, term, id, last_name, first_name
            FROM (SELECT practice_id, id, first_name, last_name, phone FROM new_rows
                  EXCEPT SELECT practice_id, id, first_name, last_name, phone FROM old_rows) come,
                 terms_of_patient(first_name, last_name, phone) AS term
            ON CONFLICT DO NOTHING;
        END IF;
        RETURN NULL;
      END $$;
      CREATE TRIGGER keep_search_terms_insert AFTER INSERT ON patients
        REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_search_terms();
      CREATE TRIGGER keep_search_terms_update AFTER UPDATE ON patients
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_search_terms();
      CREATE TRIGGER keep_search_terms_delete AFTER DELETE ON patients
        REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_search_terms();
      CREATE TRIGGER keep_search_terms_truncate AFTER TRUNCATE ON patients
        FOR EACH STATEMENT EXECUTE FUNCTION keep_search_terms();
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Encrypted fields are not thrown away: restore a backup instead'));
  }
}
