import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Each table of a statement asks whose rows it may show. For a tenant whose signed name was checked before, that is one read
 * of an index now, in place of a function that reads the key and computes two hashes.
 */
export class RememberSignedTenants1764000000480 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Goes with its key. Whoever could read it could be any tenant in it: as tenant_keys, it is for gatehouse_lookup alone.
      CREATE TABLE tenant_codes (
        signed text COLLATE "C" PRIMARY KEY,
        tenant text NOT NULL,
        key_id int NOT NULL REFERENCES tenant_keys ON DELETE CASCADE
      );
      REVOKE ALL ON tenant_codes FROM PUBLIC;
      GRANT SELECT, INSERT ON tenant_codes TO gatehouse_lookup;

      -- A grant too many, such as one by default, shows no row of either.
      ALTER TABLE tenant_keys ENABLE ROW LEVEL SECURITY;
      ALTER TABLE tenant_codes ENABLE ROW LEVEL SECURITY;
      ALTER TABLE tenant_keys FORCE ROW LEVEL SECURITY;
      ALTER TABLE tenant_codes FORCE ROW LEVEL SECURITY;
      CREATE POLICY signer ON tenant_keys TO CURRENT_USER, gatehouse_lookup, gatehouse_system USING (true) WITH CHECK (true);
      CREATE POLICY lookup ON tenant_codes TO CURRENT_USER, gatehouse_lookup USING (true) WITH CHECK (true);

      GRANT CREATE ON SCHEMA public TO gatehouse_lookup;
      SET LOCAL ROLE gatehouse_lookup;

      -- With the newest key, as signed_tenant(). In one order, so that two processes do not wait for each other.
      CREATE FUNCTION remember_tenants(names text[]) RETURNS void LANGUAGE sql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        BEGIN ATOMIC
          INSERT INTO public.tenant_codes (signed, tenant, key_id)
            SELECT name || '~' || encode(sha256(newest.outer_pad || sha256(newest.inner_pad || convert_to(name, 'UTF8'))), 'hex'),
                   name, newest.id
            FROM unnest(names) AS name, (SELECT * FROM public.tenant_keys ORDER BY id DESC LIMIT 1) AS newest
            ORDER BY name COLLATE "C" ON CONFLICT DO NOTHING;
        END;
      REVOKE ALL ON FUNCTION remember_tenants(text[]) FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION remember_tenants(text[]) TO gatehouse_system;

      -- The tenant that the setting names, NULL where it names none; an error where it is neither remembered nor signed.
      -- Policies ask it once a table: (SELECT tenant FROM transaction_tenant).
      CREATE VIEW transaction_tenant WITH (security_barrier) AS
        SELECT coalesce(remembered.tenant, public.gatehouse_tenant()) AS tenant
        FROM (VALUES (1)) AS once
        LEFT JOIN public.tenant_codes remembered ON remembered.signed = current_setting('gatehouse.tenant', true);
      GRANT SELECT ON transaction_tenant TO SESSION_USER, gatehouse_app, gatehouse_system;

      RESET ROLE;
      REVOKE CREATE ON SCHEMA public FROM gatehouse_lookup;

      DO $$
      DECLARE
        policy record;
        asked CONSTANT text := '( SELECT gatehouse_tenant() AS gatehouse_tenant)';
      BEGIN
        FOR policy IN SELECT tablename, policyname, qual FROM pg_policies WHERE schemaname = 'public' AND strpos(qual, asked) > 0 LOOP
          EXECUTE format('ALTER POLICY %I ON %I USING (%s)', policy.policyname, policy.tablename,
            replace(policy.qual, asked, '(SELECT tenant FROM public.transaction_tenant)'));
        END LOOP;
      END $$;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Tenants stay signed'));
  }
}
