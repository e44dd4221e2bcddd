import type { MigrationInterface, QueryRunner } from 'typeorm';

const tenant = `(SELECT public.gatehouse_tenant())`;
/** What a subject of a chain is found by. */
const subjectHash = `hashtextextended(${tenant} || ' ' || subject, 0)`;

/**
 * Whoever runs SQL in the runtime role may set `gatehouse.tenant` to whatever he likes; from now on a tenant counts only with
 * a code behind its name, `practice_x~<HMAC-SHA256 of the name, in hex>`, whose key the runtime role cannot read.
 */
export class SignTenants1764000000470 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- The last one signs; each that stands here counts. The pads are those of RFC 2104, so that a check is two hashes.
      CREATE TABLE tenant_keys (
        id        int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key       bytea NOT NULL,
        inner_pad bytea NOT NULL,
        outer_pad bytea NOT NULL,
        made_at   timestamptz NOT NULL DEFAULT now()
      );
      REVOKE ALL ON tenant_keys FROM PUBLIC;
      GRANT SELECT ON tenant_keys TO gatehouse_system, gatehouse_lookup;

      CREATE FUNCTION make_tenant_key() RETURNS int LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        -- As long as a block of SHA-256; each of the four has 122 bits of the server's strong random numbers.
        key CONSTANT bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
          || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
        inner_pad bytea := key;
        outer_pad bytea := key;
        made int;
      BEGIN
        FOR place IN 0 .. 63 LOOP
          inner_pad := set_byte(inner_pad, place, get_byte(key, place) # 54);
          outer_pad := set_byte(outer_pad, place, get_byte(key, place) # 92);
        END LOOP;
        INSERT INTO public.tenant_keys (key, inner_pad, outer_pad) VALUES (key, inner_pad, outer_pad) RETURNING id INTO made;
        RETURN made;
      END $$;
      REVOKE ALL ON FUNCTION make_tenant_key() FROM PUBLIC;
      SELECT make_tenant_key();

      -- What the setting must hold for the tenant; for whoever may read the keys.
      CREATE FUNCTION signed_tenant(name text) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
        RETURN (SELECT name || '~' || encode(sha256(outer_pad || sha256(inner_pad || convert_to(name, 'UTF8'))), 'hex')
                FROM public.tenant_keys ORDER BY id DESC LIMIT 1);
      REVOKE ALL ON FUNCTION signed_tenant(text) FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION signed_tenant(text) TO gatehouse_system;

      -- The tenant that the setting names, NULL where it names none. Policies ask it once a statement: (SELECT gatehouse_tenant()).
      CREATE FUNCTION gatehouse_tenant() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        said CONSTANT text := current_setting('gatehouse.tenant', true);
        name CONSTANT text := split_part(said, '~', 1);
        message bytea;
      BEGIN
        IF said IS NULL OR said = '' THEN RETURN NULL; END IF;
        message := convert_to(name, 'UTF8');
        PERFORM FROM public.tenant_keys
          WHERE name || '~' || encode(sha256(outer_pad || sha256(inner_pad || message)), 'hex') = said;
        IF FOUND THEN RETURN name; END IF;
        RAISE EXCEPTION 'The tenant of this transaction is not signed by the application' USING ERRCODE = 'insufficient_privilege';
      END $$;
      REVOKE ALL ON FUNCTION gatehouse_tenant() FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION gatehouse_tenant() TO CURRENT_USER, gatehouse_app, gatehouse_system, gatehouse_lookup;
      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      ALTER FUNCTION gatehouse_tenant() OWNER TO gatehouse_lookup;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;

      DO $$
      DECLARE policy record;
      BEGIN
        FOR policy IN SELECT tablename, policyname, qual FROM pg_policies
          WHERE schemaname = 'public' AND qual LIKE '%current_setting(''gatehouse.tenant''::text, true)%' LOOP
          EXECUTE format('ALTER POLICY %I ON %I USING (%s)', policy.policyname, policy.tablename,
            replace(policy.qual, 'current_setting(''gatehouse.tenant''::text, true)', '${tenant}'));
        END LOOP;
      END $$;

      -- As before, of the tenant that is signed.
      CREATE OR REPLACE FUNCTION audit_entries_about(subject text, first bigint, last bigint) RETURNS SETOF bigint
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
        BEGIN ATOMIC
          WITH known AS (
            SELECT found.block * 128 + mention % 128 AS seq
            FROM public.audit_blocks found
            CROSS JOIN LATERAL (SELECT array_position(found.subjects, ${subjectHash}) - 1 AS place OFFSET 0) named
            CROSS JOIN LATERAL unnest(found.mentions) AS mention
            WHERE found.subjects @> ARRAY[${subjectHash}] AND found.chain || '' = ${tenant}
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
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Tenants stay signed'));
  }
}
