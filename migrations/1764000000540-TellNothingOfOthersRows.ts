import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Conditions that are leakproof and cost less came before the policy's, with sub-selects of the query's own in them, and the
 * policy's sub-select ran when the first row got there. What ran, failed, or was seen to run in a plan told whether there was
 * such a row, whoever's it was. The policy comes before them now, and does not fail.
 */
export class TellNothingOfOthersRows1764000000540 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(String.raw`
      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      SET LOCAL ROLE gatehouse_lookup;

      -- The tenant that the setting names, by a code that nobody has remembered; NULL where none of the keys made it.
      CREATE FUNCTION computed_tenant() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        said CONSTANT text := current_setting('gatehouse.tenant', true);
        name CONSTANT text := split_part(left(said, 500), '~', 1);
        message bytea;
      BEGIN
        -- One that is longer than any of ours could make this fail.
        IF said IS NULL OR said = '' OR octet_length(said) > 500 THEN RETURN NULL; END IF;
        message := convert_to(name, 'UTF8');
        PERFORM FROM public.tenant_keys
          WHERE name || '~' || encode(sha256(outer_pad || sha256(inner_pad || message)), 'hex') = said;
        IF FOUND THEN RETURN name; END IF;
        RETURN NULL;
      END $$;
      REVOKE ALL ON FUNCTION computed_tenant() FROM PUBLIC;

      -- The tenant that the setting names, NULL where it names none that was signed: it must not fail where a row of another's
      -- gets to a policy. Bound as it is made, so that no search_path means anything to it; without one of its own, which would
      -- cost as much as it does.
      CREATE OR REPLACE FUNCTION gatehouse_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
        BEGIN ATOMIC
          SELECT coalesce(
            (SELECT tenant FROM public.tenant_codes WHERE signed = current_setting('gatehouse.tenant', true)),
            public.computed_tenant()
          );
        END;
      ALTER FUNCTION gatehouse_tenant() RESET ALL;

      -- What a process's transaction is begun with, lest it read nothing where it meant to read a tenant's.
      CREATE FUNCTION refuse_tenant() RETURNS text LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION 'The tenant of this transaction is not signed by the application' USING ERRCODE = 'insufficient_privilege';
      END $$;

      RESET ROLE;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;

      -- Equality of which the planner knows nothing: no index serves it, and what it finds is not estimated. By ANY with one value
      -- it costs half of what another comparison costs, so that it comes before whatever else a query asks.
      CREATE OPERATOR === (FUNCTION = pg_catalog.texteq, LEFTARG = text, RIGHTARG = text);

      -- For migrations, once a table whose rows belong to a practice or to a workspace: each transaction sees and writes the
      -- rows of its own tenant alone, the owner's, too.
      CREATE FUNCTION keep_to_tenant(relation regclass, tenant_column name) RETURNS void
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
          EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
          EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation);
          EXECUTE format(
            'CREATE POLICY tenant ON %1$s USING (
               %2$I OPERATOR(public.===) ANY (ARRAY[(SELECT public.gatehouse_tenant())]) AND %2$I = public.gatehouse_tenant())',
            relation, tenant_column);
        END $$;
      REVOKE ALL ON FUNCTION keep_to_tenant(regclass, name) FROM PUBLIC;

      DO $$
      DECLARE
        policy record;
        asked CONSTANT text := '(\w+) = \( SELECT transaction_tenant\.tenant\s+FROM transaction_tenant\)';
        -- The first comes before all conditions of a query, which then see rows of its tenant alone. The second is what an index
        -- is searched by, and for queries that name the tenant is asked once, before any row.
        ask CONSTANT text := '\1 OPERATOR(public.===) ANY (ARRAY[(SELECT public.gatehouse_tenant())]) AND \1 = public.gatehouse_tenant()';
      BEGIN
        FOR policy IN SELECT tablename, policyname, qual FROM pg_policies WHERE schemaname = 'public' AND qual ~ asked LOOP
          EXECUTE format('ALTER POLICY %I ON %I USING (%s)', policy.policyname, policy.tablename,
            regexp_replace(policy.qual, asked, ask));
        END LOOP;
      END $$;
      DROP VIEW transaction_tenant;

      -- ON CONFLICT (id) DO UPDATE … WHERE reads the row that has the id already, whoever's it is, before the policy is asked.
      -- An exclusion is no arbiter of it.
      ALTER TABLE patients DROP CONSTRAINT patients_id_key,
        ADD CONSTRAINT patients_id_key EXCLUDE USING btree (id WITH =);
      DROP INDEX appointments_by_id;
      ALTER TABLE appointments ADD CONSTRAINT appointments_by_id EXCLUDE USING btree (id WITH =);
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Nobody is told of rows that are not his'));
  }
}
