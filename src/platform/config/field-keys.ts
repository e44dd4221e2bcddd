import { createSecretKey, type KeyObject } from 'node:crypto';

/** A key of the field encryption under the name that encrypted values carry. */
export interface FieldKey {
  readonly id: string;
  /** 256 bits; an object that prints nothing of itself. */
  readonly key: KeyObject;
}

const entryPattern = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]{43}=)$/;

/**
 * Reads `<id>:<base64 of 32 bytes>,…`; the first key encrypts, all decrypt.
 * @throws Error that completes "NAME …" and repeats nothing of what it read
 */
export function fieldKeys(text: string): readonly FieldKey[] {
  const keys = text.split(',').map((entry) => {
    const [, id, base64] = entryPattern.exec(entry.trim()) ?? [];
    if (id === undefined || base64 === undefined) {
      throw new Error('must list keys such as k2:<base64 of 32 bytes>,k1:<base64 of 32 bytes>');
    }
    return { id, key: createSecretKey(base64, 'base64') };
  });
  if (new Set(keys.map(({ id }) => id)).size !== keys.length) throw new Error('has two keys of one id');
  return keys;
}
