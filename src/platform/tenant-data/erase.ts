import { Client, escapeIdentifier } from 'pg';
import { nameOf, type Tenant, tenantHomes } from './tenant';
import { parentsFirst, type TenantTable, tenantTablesText } from './tenant-tables';

/** What is kept of an erased practice: who saw and did what, which the law asks for longer than the data. */
export const survives: readonly string[] = ['audit_entries'];

/** Whether all is gone, or nothing: the connection was lost while Postgres was asked to commit. */
export class ErasureUnknown extends Error {
  constructor(cause: unknown) {
    super('Nobody knows whether it was erased: run it again', { cause });
  }
}

/**
 * Deletes all rows of one tenant, children before parents, in one transaction under the tenant's own setting: all is gone,
 * or nothing. Again, it deletes nothing.
 * @param ownerUrl Postgres as the owner of the tables, whom row-level security binds, too
 * @returns deleted rows by table
 * @throws ErasureUnknown; Error where a row is left, or the id is that of another kind of tenant: then nothing is gone
 */
export async function eraseTenant(ownerUrl: string, tenant: Tenant): Promise<Map<string, number>> {
  const client = new Client({ connectionString: ownerUrl, application_name: 'gatehouse-tenant-erase' });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query(`SELECT set_config('gatehouse.tenant', signed_tenant($1), true)`, [tenant.id]);
    await refuseUnsigned(client, tenant);
    await refuseOtherKind(client, tenant);
    const { rows } = await client.query<TenantTable>(tenantTablesText);
    const doomed = parentsFirst(rows.filter(({ name }) => !survives.includes(name))).reverse();
    await hold(client, tenant, doomed);
    const counts = new Map<string, number>();
    for (const { name, tenantColumn } of doomed) {
      const ofTenant = `FROM ${escapeIdentifier(name)} WHERE ${escapeIdentifier(tenantColumn)} = $1`;
      const { rowCount } = await client.query(`DELETE ${ofTenant}`, [tenant.id]);
      const { rowCount: left } = await client.query(`SELECT ${ofTenant} LIMIT 1`, [tenant.id]);
      if (left !== 0) throw new Error(`Rows of ${nameOf(tenant)} are left in ${name}: nothing was erased`);
      counts.set(name, rowCount ?? 0);
    }
    await refuseUnsigned(client, tenant);
    await client.query('COMMIT').catch((error: unknown) => {
      throw new ErasureUnknown(error);
    });
    return counts;
  } finally {
    await client.end();
  }
}

/**
 * Has the tables' statistics made anew, in which something of what was deleted may stand, and gives its place free.
 * @param tables those that `eraseTenant` names
 */
export async function forgetErased(ownerUrl: string, tables: Iterable<string>): Promise<void> {
  const client = new Client({ connectionString: ownerUrl, application_name: 'gatehouse-tenant-erase' });
  await client.connect();
  try {
    for (const name of tables) await client.query(`VACUUM (ANALYZE) ${escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}

/** Without a key that signs the tenant, or once it is deleted, nothing is seen, and so nothing is deleted. */
async function refuseUnsigned(client: Client, tenant: Tenant): Promise<void> {
  const { rows } = await client.query<{ name: string | null }>('SELECT gatehouse_tenant() AS name');
  if (rows[0]?.name !== tenant.id)
    throw new Error(`No key signs ${nameOf(tenant)} (any more): nothing was erased; SELECT make_tenant_key()`);
}

/** One that was erased already has no row of its own; what must not happen is that another's goes. */
async function refuseOtherKind(client: Client, { kind, id }: Tenant): Promise<void> {
  for (const [other, home] of Object.entries(tenantHomes)) {
    if (other === kind) continue;
    const { rowCount } = await client.query(`SELECT FROM ${home} WHERE id = $1`, [id]);
    if (rowCount !== 0) throw new Error(`${id} is a ${other}, not a ${kind}: nothing was erased`);
  }
}

/**
 * Whoever would add a row from now on waits for the row that it hangs on, and then finds none. Children first, the order in
 * which requests hold rows.
 */
async function hold(client: Client, { kind, id }: Tenant, childrenFirst: readonly TenantTable[]): Promise<void> {
  const hungOn = new Set<string>([...childrenFirst.flatMap(({ references }) => references), tenantHomes[kind]]);
  for (const { name, tenantColumn } of childrenFirst) {
    if (!hungOn.has(name)) continue;
    const rows = `SELECT FROM ${escapeIdentifier(name)} WHERE ${escapeIdentifier(tenantColumn)} = $1 FOR UPDATE`;
    await client.query(`SELECT count(*) FROM (${rows}) held`, [id]);
  }
}
