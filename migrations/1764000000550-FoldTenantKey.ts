import type { MigrationInterface, QueryRunner } from 'typeorm';
import { lockWhole } from './support/lock-whole';

/**
 * Whose rows a transaction sees is asked several times a statement. The key that signs tenants is part of what asks it now, in
 * place of a table of signed names that had to be told of each and was read each time: less than half of the time.
 */
export class FoldTenantKey1764000000550 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      lockWhole(`SELECT string_agg(DISTINCT format('%I.%I', schemaname, tablename), ', ') FROM pg_policies
        WHERE schemaname = 'public' AND cmd = 'ALL' AND qual LIKE '%gatehouse_tenant%'`),
    );
    await runner.query(String.raw`
      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      SET LOCAL ROLE gatehouse_lookup;

      -- Said to be IMMUTABLE, so that a session reads the newest key once, when it plans gatehouse_tenant().
      CREATE FUNCTION tenant_inner_pad() RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
        BEGIN ATOMIC SELECT inner_pad FROM public.tenant_keys ORDER BY id DESC LIMIT 1; END;
      CREATE FUNCTION tenant_outer_pad() RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
        BEGIN ATOMIC SELECT outer_pad FROM public.tenant_keys ORDER BY id DESC LIMIT 1; END;
      REVOKE ALL ON FUNCTION tenant_inner_pad(), tenant_outer_pad() FROM PUBLIC;

      -- The tenant that the setting names, NULL where it names none that was signed: it must not fail, nor leave word, where a row
      -- of another's gets to a policy. The key is in its plan, which whoever asks may have printed: not while it is made. Nor may
      -- a session without row_security make it fail.
      CREATE OR REPLACE FUNCTION gatehouse_tenant() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp SET debug_print_plan = off SET row_security = on AS $$
      DECLARE
        said CONSTANT text := current_setting('gatehouse.tenant', true);
        name text;
      BEGIN
        -- One that is longer than any of ours could make this fail.
        IF said IS NULL OR said = '' OR octet_length(said) > 500 THEN RETURN NULL; END IF;
        name := split_part(said, '~', 1);
        IF name || '~' || encode(sha256(public.tenant_outer_pad() ||
          sha256(public.tenant_inner_pad() || convert_to(name, 'UTF8'))), 'hex') = said THEN RETURN name; END IF;
        -- By an older key, or by none.
        RETURN public.computed_tenant();
      END $$;

      -- What is altered is compiled anew in each session, with what its plans knew.
      CREATE FUNCTION forget_tenant_key() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        ALTER FUNCTION public.gatehouse_tenant() COST 100;
        RETURN NULL;
      END $$;
      REVOKE ALL ON FUNCTION forget_tenant_key() FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION forget_tenant_key() TO SESSION_USER;

      RESET ROLE;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;
      CREATE TRIGGER forget_tenant_key AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenant_keys
        FOR EACH STATEMENT EXECUTE FUNCTION forget_tenant_key();

      -- Of what a statement writes there is no order of conditions to be kept: it is asked once.
      DO $$
      DECLARE
        policy record;
        asked CONSTANT text :=
          '^\(\((\w+) === ANY \(ARRAY\[\( SELECT gatehouse_tenant\(\) AS gatehouse_tenant\)\]\)\) AND \(\1 = gatehouse_tenant\(\)\)\)$';
      BEGIN
        FOR policy IN SELECT tablename, policyname, (regexp_match(qual, asked))[1] AS tenant_column FROM pg_policies
          WHERE schemaname = 'public' AND cmd = 'ALL' AND qual ~ asked LOOP
          EXECUTE format('ALTER POLICY %I ON %I WITH CHECK (%I = (SELECT public.gatehouse_tenant()))',
            policy.policyname, policy.tablename, policy.tenant_column);
        END LOOP;
      END $$;

      CREATE OR REPLACE FUNCTION keep_to_tenant(relation regclass, tenant_column name) RETURNS void
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
          EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
          EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation);
          EXECUTE format(
            'CREATE POLICY tenant ON %1$s
               USING (%2$I OPERATOR(public.===) ANY (ARRAY[(SELECT public.gatehouse_tenant())]) AND %2$I = public.gatehouse_tenant())
               WITH CHECK (%2$I = (SELECT public.gatehouse_tenant()))',
            relation, tenant_column);
        END $$;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Tenants stay signed'));
  }
}
