/** A table that holds rows of tenants. */
export interface TenantTable {
  readonly name: string;
  /** The column that row-level security compares with the tenant. */
  readonly tenantColumn: string;
  /** Columns that the field cipher writes, with their suffix. */
  readonly encryptedColumns: readonly string[];
  readonly hasId: boolean;
  /** Whether the role that asks may read it. */
  readonly isReadable: boolean;
  /** The other tables that its foreign keys name. */
  readonly references: readonly string[];
}

export const encryptedSuffix = '_encrypted';

/**
 * Found in the catalog, so that a table that is added later is never forgotten: whatever has a policy named `tenant` (its
 * column is the one that the policy depends on), and whatever has a column that is named like one of a tenant.
 */
export const tenantTablesText = `
  SELECT c.relname AS name, coalesce(by_policy.attname, by_name.attname)::text AS "tenantColumn",
    has_table_privilege(c.oid, 'SELECT') AS "isReadable",
    EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'id' AND NOT a.attisdropped) AS "hasId",
    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
      AND right(a.attname, length('${encryptedSuffix}')) = '${encryptedSuffix}' ORDER BY a.attnum) AS "encryptedColumns",
    ARRAY(SELECT DISTINCT f.relname::text FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid
      WHERE k.conrelid = c.oid AND k.contype = 'f' AND f.oid <> c.oid) AS "references"
  FROM pg_class c
  LEFT JOIN LATERAL (
    SELECT a.attname FROM pg_policy p
    JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid > 0
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE p.polrelid = c.oid AND p.polname = 'tenant' LIMIT 1
  ) by_policy ON true
  LEFT JOIN LATERAL (
    SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
      AND a.attname IN ('practice_id', 'workspace_id', 'account_id', 'tenant_id') LIMIT 1
  ) by_name ON true
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND coalesce(by_policy.attname, by_name.attname) IS NOT NULL
  ORDER BY c.relname`;

/** Sorted so that each table stands behind those that its foreign keys name. @throws Error where they go in a circle */
export function parentsFirst(tables: readonly TenantTable[]): TenantTable[] {
  const sorted: TenantTable[] = [];
  const waiting = new Set(tables);
  while (waiting.size > 0) {
    const names = new Set([...waiting].map(({ name }) => name));
    const free = [...waiting].filter(({ references }) => !references.some((name) => names.has(name)));
    if (free.length === 0) throw new Error(`Foreign keys go in a circle: ${[...names].join(', ')}`);
    for (const table of free) {
      sorted.push(table);
      waiting.delete(table);
    }
  }
  return sorted;
}
