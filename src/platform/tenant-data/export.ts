import { closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { Client, escapeIdentifier } from 'pg';
import { TenantSigner } from '../database';
import type { FieldCipher } from '../secrets';
import { nameOf, type Tenant, tenantHomes } from './tenant';
import { encryptedSuffix, parentsFirst, type TenantTable, tenantTablesText } from './tenant-tables';

export interface ExportRequest {
  /** Postgres as the runtime role: row-level security keeps every other tenant's rows out, whatever this file says. */
  readonly url: string;
  /** Postgres as the role for cross-tenant work, for the key that signs the tenant's name. */
  readonly systemUrl: string;
  readonly tenant: Tenant;
  /** Must not exist yet. */
  readonly file: string;
  readonly cipher: FieldCipher;
  /** Takes the unfinished file away at once; the process is expected to end. */
  readonly interrupted: AbortSignal;
}

/** Rows in memory at once. */
const batchRows = 500;

interface ExportedRow {
  readonly row: string;
  readonly [encrypted: string]: string | null;
}

/**
 * Writes all rows of one tenant as NDJSON, `{ "table", "row" }` a line, parents before children, as they were at one
 * moment. Encrypted fields are decrypted: the data are the tenant's. The file is readable by its owner alone, and is
 * there only once it is whole.
 * @returns rows by table
 * @throws Error for an unknown tenant, a table that the role cannot read, a file that exists, a draft that another export
 *   left or still writes; FieldUndecryptable
 */
export async function exportTenant(request: ExportRequest): Promise<Map<string, number>> {
  const { url, systemUrl, tenant, file, cipher, interrupted } = request;
  if (existsSync(file)) throw new Error(`${file} exists, and is not overwritten`);
  const draft = `${file}.partial`;
  // Written synchronously: whoever is interrupted is between two statements, and knows whether the draft is there.
  interrupted.throwIfAborted();
  const descriptor = openDraft(draft);
  const discard = () => rmSync(draft);
  interrupted.addEventListener('abort', discard);
  const client = new Client({ connectionString: url, application_name: 'gatehouse-tenant-export' });
  try {
    const signer = await TenantSigner.load(systemUrl);
    await client.connect();
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await client.query(`SELECT set_config('gatehouse.tenant', $1, true)`, [signer.sign(tenant.id)]);
    const { rowCount } = await client.query(`SELECT FROM ${tenantHomes[tenant.kind]} WHERE id = $1`, [tenant.id]);
    if (rowCount === 0) throw new Error(`There is no ${nameOf(tenant)}`);
    const { rows: tables } = await client.query<TenantTable>(tenantTablesText);
    const unreadable = tables.filter(({ isReadable }) => !isReadable).map(({ name }) => name);
    if (unreadable.length > 0) {
      throw new Error(`The runtime role may not read ${unreadable.join(', ')}: the export would have a gap`);
    }
    const counts = new Map<string, number>();
    for (const table of parentsFirst(tables)) {
      counts.set(table.name, await exportTable(client, descriptor, table, tenant.id, cipher));
    }
    await client.query('COMMIT');
    interrupted.throwIfAborted();
    fsyncSync(descriptor);
    putInPlace(draft, file);
    return counts;
  } finally {
    closeSync(descriptor);
    interrupted.removeEventListener('abort', discard);
    // A draft that is there after an interruption is somebody else's.
    if (!interrupted.aborted) discard();
    await client.end();
  }
}

function putInPlace(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new Error(`${file} exists, and is not overwritten`, { cause: error });
  }
}

function openDraft(draft: string): number {
  try {
    return openSync(draft, 'wx', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const what = 'the data of a tenant in plain text, of an export that was killed or that still runs';
    throw new Error(`${draft} exists: ${what}. If none runs, delete it and start again`, { cause: error });
  }
}

async function exportTable(
  client: Client,
  descriptor: number,
  table: TenantTable,
  tenantId: string,
  cipher: FieldCipher,
): Promise<number> {
  const { name, tenantColumn, encryptedColumns } = table;
  const plain = encryptedColumns.map((column) => column.slice(0, -encryptedSuffix.length));
  if (plain.length > 0 && !table.hasId) throw new Error(`The encrypted fields of ${name} belong to no id`);
  const columns = [
    '(to_jsonb(t) - $2::text[])::text AS row',
    ...(plain.length > 0 ? ['t.id::text AS "row id"'] : []),
    ...encryptedColumns.map((column) => `t.${escapeIdentifier(column)}`),
  ];
  await client.query(
    `DECLARE rows NO SCROLL CURSOR FOR SELECT ${columns.join(', ')} FROM ${escapeIdentifier(name)} t
     WHERE t.${escapeIdentifier(tenantColumn)} = $1`,
    [tenantId, encryptedColumns],
  );
  const decrypted = (row: ExportedRow, column: string): string => {
    const value = row[`${column}${encryptedSuffix}`] ?? null;
    const place = { table: name, column, tenant: tenantId, row: row['row id'] ?? '' };
    return `,${JSON.stringify(column)}:${JSON.stringify(value === null ? null : cipher.decrypt(place, value))}`;
  };
  let count = 0;
  for (;;) {
    const { rows } = await client.query<ExportedRow>(`FETCH ${batchRows} FROM rows`);
    if (rows.length === 0) break;
    count += rows.length;
    // The row stays the text that Postgres made: no number passes through a JavaScript one.
    const lines = rows.map((row) => {
      const fields = row.row.slice(0, -1) + plain.map((column) => decrypted(row, column)).join('');
      return `{"table":${JSON.stringify(name)},"row":${fields}}}\n`;
    });
    writeFileSync(descriptor, lines.join(''));
  }
  await client.query('CLOSE rows');
  return count;
}
