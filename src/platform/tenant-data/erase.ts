import { Client, escapeIdentifier } from 'pg';
import { parentsFirst, type TenantTable, tenantTablesText } from './tenant-tables';

/** What is kept of an erased practice: who saw and did what, which the law asks for longer than the data. */
export const survives: readonly string[] = ['audit_entries'];

/**
 * Deletes all rows of one practice, children before parents, in one transaction under the tenant's own setting: all is gone,
 * or nothing. Again, it deletes nothing.
 * @param ownerUrl Postgres as the owner of the tables, whom row-level security binds, too
 * @returns deleted rows by table
 * @throws Error where a row is left
 */
export async function eraseTenant(ownerUrl: string, practiceId: string): Promise<Map<string, number>> {
  const client = new Client({ connectionString: ownerUrl, application_name: 'gatehouse-tenant-erase' });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query(`SELECT set_config('gatehouse.tenant', $1, true)`, [practiceId]);
    // Whoever would add a row of the practice now waits here, and then finds no practice.
    await client.query('SELECT FROM practices WHERE id = $1 FOR UPDATE', [practiceId]);
    const { rows } = await client.query<TenantTable>(tenantTablesText);
    const doomed = parentsFirst(rows.filter(({ name }) => !survives.includes(name))).reverse();
    const counts = new Map<string, number>();
    for (const { name, tenantColumn } of doomed) {
      const ofTenant = `FROM ${escapeIdentifier(name)} WHERE ${escapeIdentifier(tenantColumn)} = $1`;
      const { rowCount } = await client.query(`DELETE ${ofTenant}`, [practiceId]);
      const { rowCount: left } = await client.query(`SELECT ${ofTenant} LIMIT 1`, [practiceId]);
      if (left !== 0) throw new Error(`Rows of ${practiceId} are left in ${name}: nothing was erased`);
      counts.set(name, rowCount ?? 0);
    }
    await client.query('COMMIT');
    return counts;
  } finally {
    await client.end();
  }
}
