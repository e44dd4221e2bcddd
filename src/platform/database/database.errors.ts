import { DatabaseError } from 'pg';

/** Postgres cannot be reached, or went away; trying again later may succeed. */
export class DatabaseUnavailable extends Error {
  constructor(cause: unknown) {
    super('The database is unavailable', { cause });
  }
}

/** No connection became free in time for this class of work. */
export class DatabaseBusy extends Error {
  constructor() {
    super('No database connection became free in time');
  }
}

/** The deadline of the request passed; its statement was cancelled. */
export class StatementCancelled extends Error {
  constructor(cause?: unknown) {
    super('The statement was cancelled', { cause });
  }
}

/** A repository was called outside a unit of work, where no tenant is set. A mistake in the program. */
export class OutsideTransaction extends Error {
  constructor() {
    super('Tenant data is read and written only inside a transaction (@Transactional)');
  }
}

/** SQLSTATE classes and codes in which the server, not the statement, is at fault (PostgreSQL, Appendix A). */
const unavailable = /^(08|57P0[1-4]|53[0-9A-Z]{3}|58)/;
const queryCanceled = '57014';
const connectionCodes = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENOENT']);

/** Sorts what the driver throws: gone, cancelled, or a refusal of this statement (returned as it is). */
export function translate(error: unknown): unknown {
  if (error instanceof DatabaseError) {
    if (error.code === queryCanceled) return new StatementCancelled(error);
    return unavailable.test(error.code ?? '') ? new DatabaseUnavailable(error) : error;
  }
  if (!(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  const lost = /Connection terminated|connection error and is not queryable|Client was closed|timeout expired|timeout exceeded/i;
  return (code !== undefined && connectionCodes.has(code)) || lost.test(error.message)
    ? new DatabaseUnavailable(error)
    : error;
}
