import type { MigrationInterface, QueryRunner } from 'typeorm';

const tenant = `current_setting('gatehouse.tenant', true)`;
/** What a subject of a chain is found by. */
const hashOf = (chain: string, subject: string) => `hashtextextended(${chain} || ' ' || ${subject}, 0)`;

/**
 * Who stands in which block of 128 numbers is indexed once a block is full, and not by whoever appends: a list of 20 patients
 * costs the index one key for each patient and block, however often it was listed, and no request waits for it. Until then
 * the block stands among those that are due, and is read entry by entry. What is indexed is computed from the entries, and an
 * entry is found only if it names the subject.
 */
export class IndexAuditSubjectsLater1764000000430 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX audit_entries_by_subject;

      -- Of a full block who stands in it, in order, and where: a mention is 128 times the place of a subject among the
      -- subjects, and the place of the entry in the block.
      CREATE TABLE audit_blocks (
        chain    text COLLATE "C" NOT NULL,
        block    bigint NOT NULL,
        subjects bigint[] NOT NULL,
        mentions int[] NOT NULL,
        PRIMARY KEY (chain, block)
      );
      CREATE INDEX audit_blocks_by_subject ON audit_blocks USING gin (subjects) WITH (fastupdate = off);
      -- By block first: whoever indexes takes the chains in turn.
      CREATE TABLE audit_blocks_due (chain text COLLATE "C" NOT NULL, block bigint NOT NULL, PRIMARY KEY (block, chain));
      ALTER TABLE audit_blocks ENABLE ROW LEVEL SECURITY;
      ALTER TABLE audit_blocks FORCE ROW LEVEL SECURITY;
      ALTER TABLE audit_blocks_due ENABLE ROW LEVEL SECURITY;
      ALTER TABLE audit_blocks_due FORCE ROW LEVEL SECURITY;
      CREATE POLICY lookup ON audit_blocks TO gatehouse_lookup USING (true) WITH CHECK (true);
      CREATE POLICY lookup ON audit_blocks_due TO gatehouse_lookup USING (true) WITH CHECK (true);
      REVOKE ALL ON audit_blocks, audit_blocks_due FROM PUBLIC;
      GRANT SELECT, INSERT, UPDATE ON audit_blocks TO gatehouse_lookup;
      -- A row can be locked only by who may update it.
      GRANT SELECT, INSERT, UPDATE, DELETE ON audit_blocks_due TO gatehouse_lookup;
      INSERT INTO audit_blocks_due
        SELECT practice_id, generate_series(0, (max(seq) + 1) / 128 - 1) FROM audit_entries GROUP BY practice_id;

      -- As before; and a block that is full is due.
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
            IF number % 128 = 127 THEN
              full_chains := full_chains || practices[c];
              full_blocks := full_blocks || number / 128;
            END IF;
          END LOOP;
        END LOOP;
        INSERT INTO public.audit_entries (body, hash)
          SELECT body::json, hash FROM unnest(bodies, hashes) AS made_of (body, hash);
        IF cardinality(full_blocks) > 0 THEN
          INSERT INTO public.audit_blocks_due (chain, block)
            SELECT chain, block FROM unnest(full_chains, full_blocks) AS full_ones (chain, block)
            -- A chain that a superuser cut off is appended to all the same; that it was cut off is for the anchors to say.
            ON CONFLICT DO NOTHING;
        END IF;
      END $$;

      -- Indexes some of the blocks that are due, each once, whoever else does the same; tells how many.
      CREATE FUNCTION index_audit_blocks(most int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
      DECLARE
        due record;
        indexed int := 0;
      BEGIN
        FOR due IN SELECT chain, block FROM public.audit_blocks_due ORDER BY block, chain LIMIT most FOR UPDATE SKIP LOCKED LOOP
          WITH said AS MATERIALIZED (
            SELECT DISTINCT ${hashOf('due.chain', 'subject')} AS subject, (seq % 128)::int AS place
            FROM public.audit_entries CROSS JOIN LATERAL json_array_elements_text(body -> 'subjects') AS subject
            WHERE practice_id = due.chain AND seq BETWEEN due.block * 128 AND due.block * 128 + 127
          )
          INSERT INTO public.audit_blocks (chain, block, subjects, mentions) SELECT due.chain, due.block,
            ARRAY(SELECT DISTINCT subject FROM said ORDER BY subject),
            ARRAY(SELECT (dense_rank() OVER (ORDER BY subject) - 1)::int * 128 + place FROM said)
          ON CONFLICT (chain, block) DO UPDATE SET subjects = excluded.subjects, mentions = excluded.mentions;
          DELETE FROM public.audit_blocks_due WHERE chain = due.chain AND block = due.block;
          indexed := indexed + 1;
        END LOOP;
        RETURN indexed;
      END $$;

      -- GIN alone can find a subject: no condition on chain or block is one that the primary key could serve, which would
      -- read each block's subjects. Numbers, nothing else, and of the tenant's own chain.
      CREATE OR REPLACE FUNCTION audit_entries_about(subject text, first bigint, last bigint) RETURNS SETOF bigint
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
        BEGIN ATOMIC
          WITH known AS (
            SELECT found.block * 128 + mention % 128 AS seq
            FROM public.audit_blocks found
            CROSS JOIN LATERAL (SELECT array_position(found.subjects, ${hashOf(tenant, 'subject')}) - 1 AS place OFFSET 0) named
            CROSS JOIN LATERAL unnest(found.mentions) AS mention
            WHERE found.subjects @> ARRAY[${hashOf(tenant, 'subject')}] AND found.chain || '' = ${tenant}
              AND found.block + 0 BETWEEN first / 128 AND last / 128 AND mention / 128 = named.place
          ), unknown AS (
            SELECT block FROM public.audit_blocks_due WHERE chain = ${tenant} AND block BETWEEN first / 128 AND last / 128
            UNION SELECT max(seq) / 128 FROM public.audit_entries WHERE practice_id = ${tenant}
          )
          SELECT entry.seq FROM (
            SELECT seq FROM known
            UNION SELECT generate_series(block * 128, block * 128 + 127) FROM unknown
          ) AS candidate JOIN public.audit_entries entry ON entry.practice_id = ${tenant} AND entry.seq = candidate.seq
          WHERE ${tenant} <> 'platform' AND candidate.seq BETWEEN first AND last AND (entry.body -> 'subjects')::jsonb ? subject;
        END;

      REVOKE ALL ON FUNCTION index_audit_blocks(int) FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION index_audit_blocks(int) TO gatehouse_system;
      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      ALTER FUNCTION index_audit_blocks(int) OWNER TO gatehouse_lookup;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The audit log is not taken away'));
  }
}
