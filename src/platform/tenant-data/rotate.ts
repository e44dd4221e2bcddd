import { escapeIdentifier } from 'pg';
import { Connections } from '../database/connections';
import { type Sql, statement, TenantSigner } from '../database';
import { Transaction } from '../database/transaction';
import { checkKeys, type FieldCipher, FieldUndecryptable, retireOtherKeys } from '../secrets';
import { encryptedSuffix, type TenantTable, tenantTablesText } from './tenant-tables';

export interface RotationRequest {
  /** Postgres as the runtime role. */
  readonly url: string;
  /** Postgres as the role for cross-tenant work, for the list of practices and the key that signs their names. */
  readonly systemUrl: string;
  readonly cipher: FieldCipher;
  readonly say: (line: string) => void;
}

export interface Rotation {
  /** Values that this run brought under the first key. */
  readonly reencrypted: number;
  /** Values that are not under it. Where there are none, the other keys are retired and may leave PHI_KEYS. */
  readonly left: number;
  /** `patients.ssn of row pat_… cannot be decrypted: …`, one a value. */
  readonly undecryptable: readonly string[];
}

/** One encrypted column with the texts that rotate it. */
interface Column {
  readonly table: string;
  readonly name: string;
  readonly text: { readonly select: string; readonly replace: string; readonly left: string };
}

interface Value {
  readonly id: string;
  readonly value: string;
}

interface Batch {
  readonly read: number;
  readonly replaced: number;
  readonly lastId: string;
}

type AsPractice = <Result>(tenant: string, work: (sql: Sql) => Promise<Result>) => Promise<Result>;

/** Takes the retirement of the other keys back. */
class ValuesLeft extends Error {
  constructor(readonly count: number) {
    super(`${count} values are under other keys`);
  }
}

const batchRows = 200;
const statementTimeoutMs = 60_000;
const tables = statement<TenantTable>('rotate.tables', tenantTablesText);
const practices = statement<{ id: string }>('rotate.practices', 'SELECT id FROM practices ORDER BY id');

/**
 * Brings every encrypted value under the first key, practice by practice under the practice's own rules, while the
 * application serves: a value is replaced only if it is still what was read. It may be stopped and run again at any time.
 * @throws FieldKeysRefused where the keys do not fit the database
 */
export async function rotateKeys({ url, systemUrl, cipher, say }: RotationRequest): Promise<Rotation> {
  const system = connections(systemUrl, say);
  const runtime = connections(url, say, await TenantSigner.load(systemUrl));
  const asSystem = <Result>(work: (sql: Sql) => Promise<Result>) =>
    Transaction.run(system, { tenant: undefined, workClass: 'standard' }, work);
  const asPractice: AsPractice = (tenant, work) => Transaction.run(runtime, { tenant, workClass: 'standard' }, work);
  try {
    await asSystem((sql) => checkKeys(sql, cipher));
    const found = await asSystem((sql) => sql.query(practices));
    const columns = (await asSystem((sql) => sql.query(tables))).flatMap(columnsOf);
    let reencrypted = 0;
    let left = 0;
    const undecryptable: string[] = [];
    for (const { id: practice } of found) {
      let ofPractice = 0;
      for (const column of columns) {
        const run = (work: (sql: Sql) => Promise<Batch>) => asPractice(practice, work);
        ofPractice += await rotateColumn(run, practice, column, cipher, undecryptable);
      }
      const remaining = await asPractice(practice, (sql) => countLeft(sql, practice, columns, cipher));
      reencrypted += ofPractice;
      left += remaining;
      if (ofPractice > 0 || remaining > 0) say(`${practice}: ${ofPractice} re-encrypted, ${remaining} left`);
    }
    if (left === 0) left = await asSystem((sql) => retire(sql, asPractice, columns, cipher)).catch(countOfLeft);
    return { reencrypted, left, undecryptable };
  } finally {
    await Promise.all([runtime.close(), system.close()]);
  }
}

/**
 * Retires the other keys, in the open transaction of the role for cross-tenant work, and only then counts what is under them:
 * whoever writes such a value either has committed before, and is counted, or waits and is refused.
 * @throws ValuesLeft where a value is left
 */
async function retire(sql: Sql, asPractice: AsPractice, columns: readonly Column[], cipher: FieldCipher): Promise<0> {
  await retireOtherKeys(sql, cipher);
  let left = 0;
  // Listed anew: a practice may have come.
  for (const { id } of await sql.query(practices)) {
    left += await asPractice(id, (ofPractice) => countLeft(ofPractice, id, columns, cipher));
  }
  if (left > 0) throw new ValuesLeft(left);
  return 0;
}

function countOfLeft(error: unknown): number {
  if (error instanceof ValuesLeft) return error.count;
  throw error;
}

async function rotateColumn(
  run: (work: (sql: Sql) => Promise<Batch>) => Promise<Batch>,
  tenant: string,
  column: Column,
  cipher: FieldCipher,
  undecryptable: string[],
): Promise<number> {
  let done = 0;
  let batch: Batch = { read: batchRows, replaced: 0, lastId: '' };
  while (batch.read === batchRows) {
    const after = batch.lastId;
    batch = await run((sql) => rotateBatch(sql, tenant, column, after, cipher, undecryptable));
    done += batch.replaced;
  }
  return done;
}

async function rotateBatch(
  sql: Sql,
  tenant: string,
  { table, name, text }: Column,
  afterId: string,
  cipher: FieldCipher,
  undecryptable: string[],
): Promise<Batch> {
  const values = await sql.query(statement<Value>('rotate.select', text.select), [
    tenant,
    afterId,
    cipher.prefix,
    batchRows,
  ]);
  const fresh = values.flatMap(({ id, value }) => {
    const place = { table, column: name, tenant, row: id };
    try {
      return { id, value, replacement: cipher.encrypt(place, cipher.decrypt(place, value)) };
    } catch (error) {
      if (!(error instanceof FieldUndecryptable)) throw error;
      undecryptable.push(error.message);
      return [];
    }
  });
  const replaced = await sql.query(statement('rotate.replace', text.replace), [
    tenant,
    fresh.map(({ id }) => id),
    fresh.map(({ value }) => value),
    fresh.map(({ replacement }) => replacement),
  ]);
  return { read: values.length, replaced: replaced.length, lastId: values.at(-1)?.id ?? afterId };
}

async function countLeft(sql: Sql, tenant: string, columns: readonly Column[], cipher: FieldCipher): Promise<number> {
  let sum = 0;
  for (const { text } of columns) {
    const [row] = await sql.query(statement<{ count: number }>('rotate.left', text.left), [tenant, cipher.prefix]);
    sum += row?.count ?? 0;
  }
  return sum;
}

function columnsOf({ name: table, tenantColumn, encryptedColumns, hasId }: TenantTable): Column[] {
  return encryptedColumns.map((encrypted) => {
    if (!hasId) throw new Error(`The encrypted fields of ${table} belong to no id`);
    const [from, tenant, column] = [table, tenantColumn, encrypted].map((name) => escapeIdentifier(name));
    return {
      table,
      name: encrypted.slice(0, -encryptedSuffix.length),
      text: {
        select: `SELECT id, ${column} AS value FROM ${from}
          WHERE ${tenant} = $1 AND id > $2 AND NOT starts_with(${column}, $3) ORDER BY id LIMIT $4`,
        replace: `UPDATE ${from} t SET ${column} = fresh.replacement
          FROM unnest($2::text[], $3::text[], $4::text[]) AS fresh (id, former, replacement)
          WHERE t.${tenant} = $1 AND t.id = fresh.id AND t.${column} = fresh.former RETURNING 1`,
        left: `SELECT count(*)::int AS count FROM ${from} WHERE ${tenant} = $1 AND NOT starts_with(${column}, $2)`,
      },
    };
  });
}

function connections(url: string, say: (line: string) => void, signer?: TenantSigner): Connections {
  return new Connections({
    url,
    shares: { total: 1, reservedForCritical: 0, mostForBulk: 1 },
    applicationName: 'gatehouse-phi-rotate',
    statementTimeoutMs,
    preparedStatements: false, // its texts are made from the catalog
    ...(signer && { signer }),
    onBroken: (error) => say(`a database connection broke: ${error.message}`),
  });
}
