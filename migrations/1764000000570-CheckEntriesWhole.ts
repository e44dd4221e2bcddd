import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The page, the index and the verifier read the entries of all practices, and stopped at one that they could not read: a time
 * that is none, subjects that are no list, a count that is no number. None is taken any more.
 */
export class CheckEntriesWhole1764000000570 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(String.raw`
      CREATE OR REPLACE FUNCTION append_audit_entries(practices text[], counts int[], ids text[], times text[], said json)
        RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
        -- Plans are kept, and the first may be made while the log is empty, when reading all of it is cheapest.
        SET enable_seqscan = off AS $$
      DECLARE
        rests CONSTANT text[] := ARRAY(SELECT value::text FROM json_array_elements(said));
        bodies text[] := '{}';
        hashes bytea[] := '{}';
        full_chains text[] := '{}';
        full_blocks bigint[] := '{}';
        n int := 0;
        held int;
        head text;
        number bigint;
        link bytea;
        made text COLLATE "C";
        entry json;
        time_form CONSTANT text := 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';
        -- A clock may be ahead, but not so far that it would stop the time of a chain for good.
        latest CONSTANT text COLLATE "C" := to_char((clock_timestamp() + interval '1 day') AT TIME ZONE 'UTC', time_form);
        chains_of text[] := '{}';
        numbers bigint[] := '{}';
        moments text[] := '{}';
      BEGIN
        -- Until the end of the transaction, whatever the session was told: the answer that waits for this says that it is kept.
        PERFORM set_config('synchronous_commit', 'on', true);
        -- All who take several take them in one order.
        PERFORM FROM public.audit_chains WHERE chain = ANY (practices) ORDER BY chain FOR UPDATE;
        GET DIAGNOSTICS held = ROW_COUNT;
        IF held < cardinality(practices) THEN
          INSERT INTO public.audit_chains (chain)
            SELECT name FROM unnest(practices) AS name ORDER BY name COLLATE "C" ON CONFLICT DO NOTHING;
          PERFORM FROM public.audit_chains WHERE chain = ANY (practices) ORDER BY chain FOR UPDATE;
        END IF;
        FOR c IN 1 .. cardinality(practices) LOOP
          IF practices[c] !~ '^[A-Za-z0-9_.:-]{1,64}$' THEN
            RAISE EXCEPTION 'That is no name of a chain' USING ERRCODE = 'invalid_parameter_value';
          END IF;
          head := '{"v":1,"practice":' || to_json(practices[c])::text || ',"seq":';
          SELECT seq, hash, body ->> 'at' INTO number, link, made
            FROM public.audit_entries WHERE practice_id = practices[c] ORDER BY seq DESC LIMIT 1;
          IF NOT FOUND THEN
            number := 0;
            link := sha256(convert_to(E'gatehouse audit chain 1\n' || practices[c], 'UTF8'));
            made := '';
          END IF;
          FOR e IN 1 .. counts[c] LOOP
            n := n + 1;
            number := number + 1;
            -- Number and time rise together, whatever the clocks of two processes say: a time is found by its number.
            IF to_char(times[n]::timestamptz AT TIME ZONE 'UTC', time_form) IS DISTINCT FROM times[n] THEN
              RAISE EXCEPTION 'That is no time' USING ERRCODE = 'invalid_parameter_value';
            END IF;
            -- Whoever reads entries of all chains must not fail at one.
            entry := rests[n];
            IF octet_length(rests[n]) > 262144 OR (ids[n] ~ '^[A-Za-z0-9_]{1,64}$') IS NOT TRUE
              OR json_typeof(entry -> 'subjects') IS DISTINCT FROM 'array'
              OR entry -> 'detail' ->> 'count' !~ '^[0-9]{1,9}$' THEN
              RAISE EXCEPTION 'That is no entry' USING ERRCODE = 'invalid_parameter_value';
            END IF;
            made := greatest(made, least(times[n], latest));
            bodies[n] := head || number || ',"id":"' || ids[n] || '","at":"' || made || '",' || substr(rests[n], 2);
            link := sha256(link || convert_to(bodies[n], 'UTF8'));
            hashes[n] := link;
            chains_of[n] := practices[c];
            numbers[n] := number;
            moments[n] := made;
            IF number % 128 = 127 THEN
              full_chains := full_chains || practices[c];
              full_blocks := full_blocks || number / 128;
            END IF;
          END LOOP;
        END LOOP;
        -- What is searched is generated from the body, where the last of two keys with one name counts: none may come to stand
        -- elsewhere than its hash.
        WITH stored AS (
          INSERT INTO public.audit_entries (body, hash)
            SELECT body::json, hash FROM unnest(bodies, hashes) AS made_of (body, hash)
            RETURNING practice_id, seq, body ->> 'at' AS at
        )
        SELECT count(*) INTO held FROM stored
          JOIN unnest(chains_of, numbers, moments) AS due (chain, number, moment)
            ON due.chain = stored.practice_id AND due.number = stored.seq AND due.moment = stored.at;
        IF held <> n THEN
          RAISE EXCEPTION 'An entry says itself where or when it stands' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF cardinality(full_blocks) > 0 THEN
          INSERT INTO public.audit_blocks_due (chain, block)
            SELECT chain, block FROM unnest(full_chains, full_blocks) AS full_ones (chain, block)
            -- A chain that a superuser cut off is appended to all the same; that it was cut off is for the anchors to say.
            ON CONFLICT DO NOTHING;
        END IF;
      END $$;

      -- A session may be told to leave out at random what a GIN index finds.
      ALTER FUNCTION audit_entries_about(text, bigint, bigint) SET gin_fuzzy_search_limit = 0;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The audit log is not taken away'));
  }
}
