import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { FieldKey } from '../config';
import { FieldUndecryptable } from './secrets.errors';

/** Where an encrypted value stands. It is authenticated with the value, so that one moved elsewhere does not decrypt. */
export interface FieldPlace {
  readonly table: string;
  /** Without the suffix `_encrypted`. */
  readonly column: string;
  readonly tenant: string;
  /** The row's id. */
  readonly row: string;
}

const algorithm = 'aes-256-gcm';
/** NIST SP 800-38D §8.2.2: random nonces of 96 bits, for fewer than 2^32 values of one key. */
const nonceBytes = 12;
const tagBytes = 16;
const valuePattern = /^v1:([A-Za-z0-9_-]{1,32}):([A-Za-z0-9_-]+)$/;

/**
 * Encrypts single fields with AES-256-GCM, into `v1:<key id>:<base64url of nonce, ciphertext, tag>`.
 * The first key encrypts, all decrypt, so that keys can be rotated while the application serves.
 */
export class FieldCipher {
  private readonly current: FieldKey;
  private readonly byId: ReadonlyMap<string, FieldKey>;

  /** @throws Error for no key at all */
  constructor(keys: readonly FieldKey[]) {
    const [current] = keys;
    if (!current) throw new Error('A field cipher needs a key');
    this.current = current;
    this.byId = new Map(keys.map((key) => [key.id, key]));
  }

  /** Names of the keys, the one that encrypts first. */
  get keyIds(): readonly string[] {
    return [...this.byId.keys()];
  }

  /** Encrypts a text for its place; the same text gives another value each time. */
  encrypt(place: FieldPlace, text: string): string {
    return encryptWith(this.current, place, text);
  }

  /** As `encrypt`, under the key of that name. @throws Error for a name that is none of the keys' */
  encryptWith(keyId: string, place: FieldPlace, text: string): string {
    const key = this.byId.get(keyId);
    if (!key) throw new Error(`There is no key ${keyId}`);
    return encryptWith(key, place, text);
  }

  /** @throws FieldUndecryptable for a value of a key that is not here, of another place, or that was changed */
  decrypt(place: FieldPlace, value: string): string {
    const [, keyId, payload] = valuePattern.exec(value) ?? [];
    if (keyId === undefined || payload === undefined) throw new FieldUndecryptable(place, 'it is no encrypted value');
    const key = this.byId.get(keyId);
    if (!key) throw new FieldUndecryptable(place, `its key ${keyId} is not among PHI_KEYS`);
    const bytes = Buffer.from(payload, 'base64url');
    if (bytes.length < nonceBytes + tagBytes) throw new FieldUndecryptable(place, 'it was cut short');
    const decipher = createDecipheriv(algorithm, key.key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
    decipher.setAAD(dataOf(place));
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    try {
      const text = [decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()];
      return Buffer.concat(text).toString('utf8');
    } catch {
      throw new FieldUndecryptable(place, `it is not what the key ${keyId} of PHI_KEYS encrypted for this row`);
    }
  }

  /** What every value under the key that encrypts now begins with. */
  get prefix(): string {
    return `v1:${this.current.id}:`;
  }
}

function encryptWith({ id, key }: FieldKey, place: FieldPlace, text: string): string {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(dataOf(place));
  const bytes = [nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()];
  return `v1:${id}:${Buffer.concat(bytes).toString('base64url')}`;
}

/** JSON, so that no two places give the same bytes. */
function dataOf({ table, column, tenant, row }: FieldPlace): Buffer {
  return Buffer.from(JSON.stringify([table, column, tenant, row]));
}
