import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Who is found by a term is found by every beginning of it: a term that begins another of the same patient finds nobody more
 * (`garcia`, of `garcialopez`), and a search reads a row less for each patient.
 */
export class KeepLongestTerms1764000000530 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE OR REPLACE FUNCTION terms_of_patient(first_name text, last_name text, phone text) RETURNS SETOF text
        LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 8
        BEGIN ATOMIC
          WITH folded AS (SELECT search_folded(name) AS name FROM unnest(ARRAY[first_name, last_name]) AS name), terms (term) AS (
            SELECT search_words(folded.name) FROM folded
            UNION
            SELECT left(part, 64) FROM folded, regexp_split_to_table(folded.name COLLATE pg_unicode_fast, '[^[:alnum:]]+') AS part
            WHERE part <> ''
            UNION
            SELECT search_joined(folded.name) FROM folded WHERE search_joined(folded.name) <> ''
            UNION
            SELECT '#' || right(left(phone_digits(phone), 32), digits) FROM unnest(ARRAY[32, 10, 7, 4]) AS digits
            WHERE phone_digits(phone) <> ''
          )
          SELECT term FROM terms
          WHERE NOT EXISTS (SELECT FROM terms AS longer WHERE starts_with(longer.term, terms.term) AND longer.term <> terms.term);
        END;

      ALTER TABLE patient_search_terms NO FORCE ROW LEVEL SECURITY;
      DELETE FROM patient_search_terms t USING patient_search_terms longer
        WHERE longer.practice_id = t.practice_id AND longer.patient_id = t.patient_id
          AND longer.term > t.term AND starts_with(longer.term, t.term);
      ALTER TABLE patient_search_terms FORCE ROW LEVEL SECURITY;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('A search finds the same by fewer terms'));
  }
}
