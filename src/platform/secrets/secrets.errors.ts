import type { FieldPlace } from './field-cipher';

/** An encrypted value cannot be read. Says where it stands and why, and nothing of the value or the key. */
export class FieldUndecryptable extends Error {
  constructor(
    readonly place: FieldPlace,
    readonly reason: string,
  ) {
    super(`${place.table}.${place.column} of row ${place.row} cannot be decrypted: ${reason}`);
  }
}

/** The keys of this process do not fit the database: values would be written that others cannot read, or the reverse. */
export class FieldKeysRefused extends Error {
  constructor(complaints: readonly string[]) {
    super(`PHI_KEYS does not fit this database:\n${complaints.map((complaint) => `  - ${complaint}`).join('\n')}`);
  }
}
