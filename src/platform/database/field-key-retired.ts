/** The SQLSTATE of the trigger `refuse_unusable_key`, in the range that is left to programs. */
export const fieldKeyRetiredState = 'KR001';

/** This process encrypts under a key that is not in use any more. Nothing was written; it needs a restart with the new key. */
export class FieldKeyRetired extends Error {
  constructor(cause: unknown) {
    super('The first key of PHI_KEYS was retired while this process ran: restart it with the new key first', { cause });
  }
}
