/**
 * SQL that locks tables against everybody, all of them or none. What else works has some of them and wants another: it would
 * wait for this migration and this for it, and Postgres would end one of the two. So this lets go of all after half a second in
 * which it waited, which is less than Postgres takes for a deadlock, and tries again.
 * @param tables SQL that yields their names as one text, between commas
 */
export const lockWhole = (tables: string): string => `
  DO $$
  DECLARE
    names CONSTANT text := (${tables});
    patience CONSTANT text := current_setting('lock_timeout');
  BEGIN
    PERFORM set_config('lock_timeout', greatest(10, 500 / cardinality(string_to_array(names, ',')))::text, true);
    LOOP
      BEGIN
        EXECUTE 'LOCK TABLE ' || names || ' IN ACCESS EXCLUSIVE MODE';
        EXIT;
      EXCEPTION WHEN lock_not_available THEN
        PERFORM pg_sleep(0.1);
      END;
    END LOOP;
    PERFORM set_config('lock_timeout', patience, true);
  END $$;`;
