import { Injectable, type OnModuleInit } from '@nestjs/common';
import { type Sql, statement } from '../database';
import { SystemDatabase } from '../database/system';
import { FieldCipher } from './field-cipher';
import { FieldKeysRefused, FieldUndecryptable } from './secrets.errors';

interface KnownKey {
  readonly id: string;
  readonly proof: string;
  readonly isRetired: boolean;
}

/** The first of several processes that bring a new key tells the others what it encrypts to. Not in use until it is first. */
const introduce = statement(
  'secrets.introduce-keys',
  `INSERT INTO field_keys (id, proof, retired_at) SELECT id, proof, now() FROM unnest($1::text[], $2::text[]) AS k (id, proof)
   ON CONFLICT DO NOTHING`,
);
const known = statement<KnownKey>(
  'secrets.known-keys',
  `SELECT id, proof, retired_at IS NOT NULL AS "isRetired" FROM field_keys`,
);
const use = statement(
  'secrets.use-key',
  `UPDATE field_keys SET retired_at = NULL WHERE id = $1 AND retired_at IS NOT NULL`,
);
const retire = statement(
  'secrets.retire-keys',
  `UPDATE field_keys SET retired_at = now() WHERE id <> $1 AND retired_at IS NULL`,
);

const proofText = 'the key that encrypted this is the right one';
const proofPlace = (keyId: string) => ({ table: 'field_keys', column: 'proof', tenant: '', row: keyId });

/**
 * Compares the keys with those that encrypted what the database holds, in a transaction of the role for cross-tenant work:
 * nothing of any tenant is read, only a proof of each key.
 * @throws FieldKeysRefused for a key that is not what it was under this name, or one in use that is missing
 */
export async function checkKeys(sql: Sql, cipher: FieldCipher): Promise<void> {
  const [current] = cipher.keyIds;
  const proofs = cipher.keyIds.map((id) => cipher.encryptWith(id, proofPlace(id), proofText));
  await sql.query(introduce, [cipher.keyIds, proofs]);
  const complaints = (await sql.query(known)).flatMap((key) => complaintOf(key, cipher) ?? []);
  if (complaints.length > 0) throw new FieldKeysRefused(complaints);
  await sql.query(use, [current]);
}

/**
 * Notes that the first key alone encrypts what the database holds; from then on the database refuses values under the others.
 * Waits for transactions that wrote such a value; whoever calls it looks for their values before it commits.
 */
export async function retireOtherKeys(sql: Sql, cipher: FieldCipher): Promise<void> {
  await sql.query(retire, [cipher.keyIds[0]]);
}

function complaintOf({ id, proof, isRetired }: KnownKey, cipher: FieldCipher): string | undefined {
  if (!cipher.keyIds.includes(id)) return isRetired ? undefined : `the key ${id}, which stored values need, is missing`;
  try {
    cipher.decrypt(proofPlace(id), proof);
    return undefined;
  } catch (error) {
    if (!(error instanceof FieldUndecryptable)) throw error;
    return `the key ${id} is not the one that encrypted the stored values under this name`;
  }
}

/** Refuses to start with keys that do not fit the database. */
@Injectable()
export class KeyCheck implements OnModuleInit {
  constructor(
    private readonly system: SystemDatabase,
    private readonly cipher: FieldCipher,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.system.run((sql) => checkKeys(sql, this.cipher));
  }
}
