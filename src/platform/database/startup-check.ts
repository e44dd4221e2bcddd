import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { Log } from '../telemetry';
import { type Connections, RUNTIME_CONNECTIONS } from './connections';
import { statement } from './statement';
import { Transaction } from './transaction';

const roleFlaws = statement<{ flaw: string }>(
  'database.role-flaws',
  `SELECT 'is a superuser' AS flaw FROM pg_roles WHERE rolname = current_user AND rolsuper
   UNION ALL SELECT 'bypasses row-level security' FROM pg_roles WHERE rolname = current_user AND rolbypassrls
   UNION ALL SELECT 'may make temporary tables (REVOKE ALL ON DATABASE … FROM PUBLIC)'
     WHERE has_database_privilege(current_database(), 'TEMP')
   UNION ALL SELECT 'may create roles' FROM pg_roles WHERE rolname = current_user AND rolcreaterole
   UNION ALL SELECT format('is a member of %I, which bypasses row-level security', rolname) FROM pg_roles
     WHERE (rolsuper OR rolbypassrls) AND rolname <> current_user AND pg_has_role(current_user, oid, 'MEMBER')
   UNION ALL SELECT format('owns or may become the owner of table %I', c.relname) FROM pg_class c
     JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND pg_has_role(current_user, c.relowner, 'MEMBER')
   UNION ALL SELECT 'may act for every tenant (member of gatehouse_system)' FROM pg_roles
     WHERE rolname = 'gatehouse_system' AND pg_has_role(current_user, oid, 'MEMBER')
   UNION ALL SELECT 'may read what signs tenants (member of gatehouse_lookup)' FROM pg_roles
     WHERE rolname = 'gatehouse_lookup' AND pg_has_role(current_user, oid, 'MEMBER')
   UNION ALL SELECT format('may read table %I, which signs tenants', c.relname) FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relname = 'tenant_keys'
       AND has_any_column_privilege(current_user, c.oid, 'SELECT')
   UNION ALL SELECT format('may call %s, which signs tenants', f.oid::regprocedure) FROM pg_proc f
     WHERE f.pronamespace = 'public'::regnamespace AND f.proname IN
       ('signed_tenant', 'make_tenant_key', 'tenant_inner_pad', 'tenant_outer_pad')
       AND has_function_privilege(current_user, f.oid, 'EXECUTE')
   UNION ALL SELECT format('may read table %I, which has a tenant but no forced row-level security', c.relname)
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('practice_id', 'workspace_id', 'account_id', 'tenant_id')
     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
       AND NOT (c.relrowsecurity AND c.relforcerowsecurity) AND has_table_privilege(current_user, c.oid, 'SELECT')`,
);

/** Whether SQL that is smuggled into a session could find the names of what is prepared there. */
const listsPrepared = statement<{ may: boolean }>(
  'database.lists-prepared',
  `SELECT has_function_privilege('pg_catalog.pg_prepared_statement()', 'EXECUTE') AS may`,
);

/** Refuses to start where the runtime role could get around row-level security. */
@Injectable()
export class DatabaseStartupCheck implements OnModuleInit {
  constructor(
    @Inject(RUNTIME_CONNECTIONS) private readonly connections: Connections,
    private readonly log: Log,
  ) {}

  async onModuleInit(): Promise<void> {
    const none = { tenant: undefined, workClass: 'standard' } as const;
    const flaws = await Transaction.run(this.connections, none, (sql) => sql.query(roleFlaws));
    if (flaws.length > 0) {
      const list = flaws.map(({ flaw }) => `  - it ${flaw}`).join('\n');
      throw new Error(`The database role of DATABASE_URL is refused:\n${list}`);
    }
    const [lists] = await Transaction.run(this.connections, none, (sql) => sql.query(listsPrepared));
    if (lists?.may && this.connections.settings.preparedStatements)
      this.log.warn(
        'The runtime role can list what its sessions prepared; a superuser should say, in this database: REVOKE EXECUTE ON FUNCTION pg_catalog.pg_prepared_statement() FROM PUBLIC',
      );
  }
}
