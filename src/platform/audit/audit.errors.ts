/** The audit log took no entry; whatever has to be recorded must not happen now. Trying again later may succeed. */
export class AuditUnavailable extends Error {
  constructor(cause?: unknown) {
    super('The audit log is unavailable', { cause });
  }
}

/** Somebody held the lock of a chain for too long; nothing was appended to any chain of the batch. */
export class ChainStuck extends Error {
  constructor(cause: unknown) {
    super('The lock of a chain did not become free', { cause });
  }
}
