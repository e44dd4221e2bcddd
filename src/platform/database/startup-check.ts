import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
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
   UNION ALL SELECT format('may read table %I, which has a tenant but no forced row-level security', c.relname)
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('practice_id', 'workspace_id', 'account_id', 'tenant_id')
     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
       AND NOT (c.relrowsecurity AND c.relforcerowsecurity) AND has_table_privilege(current_user, c.oid, 'SELECT')`,
);

/** Refuses to start where the runtime role could get around row-level security. */
@Injectable()
export class DatabaseStartupCheck implements OnModuleInit {
  constructor(@Inject(RUNTIME_CONNECTIONS) private readonly connections: Connections) {}

  async onModuleInit(): Promise<void> {
    const flaws = await Transaction.run(this.connections, { tenant: undefined, workClass: 'standard' }, (transaction) =>
      transaction.query(roleFlaws),
    );
    if (flaws.length > 0) {
      const list = flaws.map(({ flaw }) => `  - it ${flaw}`).join('\n');
      throw new Error(`The database role of DATABASE_URL is refused:\n${list}`);
    }
  }
}
