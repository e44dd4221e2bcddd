import { DatabaseError } from 'pg';
import { FieldKeyRetired, fieldKeyRetiredState } from './field-key-retired';

/** Postgres cannot be reached, or went away; trying again later may succeed. */
export class DatabaseUnavailable extends Error {
  constructor(cause: unknown) {
    super('The database is unavailable', { cause });
  }
}

/** No connection became free in time for this class of work, or so many wait already that none would. */
export class DatabaseBusy extends Error {
  constructor() {
    super('No database connection becomes free in time');
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

/** SQLSTATE classes and codes that another try may not meet again: server, resources, deadlock (PostgreSQL, Appendix A). */
const unavailable = /^(08|57P0[1-4]|53|58|40001|40P01)/;
const foreignKeyViolation = '23503';
/** The reference of a tenant's table to its tenant, by Postgres's own name for it. */
const tenantKey = /_(?:practice|workspace|account)_id_fkey$/;
const queryCanceled = '57014';
const connectionCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENOENT',
]);

/** A value that Postgres cannot represent (class 22), such as a text with NUL: the client's fault, whatever let it through. */
export class ValueRefused extends Error {
  constructor(cause: unknown) {
    super('A value was refused by the database', { cause });
  }
}

/** A row was to be made for a tenant that does not exist, or no longer does. */
export class TenantUnknown extends Error {
  constructor(cause: unknown) {
    super('The tenant is unknown to the database', { cause });
  }
}

/** Sorts what the driver throws: gone, cancelled, or a refusal of this statement (returned as it is). */
export function translate(error: unknown): unknown {
  if (error instanceof DatabaseError) {
    if (error.code === queryCanceled) return new StatementCancelled(error);
    if (error.code === fieldKeyRetiredState) return new FieldKeyRetired(error);
    if (error.code?.startsWith('22')) return new ValueRefused(error);
    if (error.code === foreignKeyViolation && tenantKey.test(error.constraint ?? '')) return new TenantUnknown(error);
    return unavailable.test(error.code ?? '') ? new DatabaseUnavailable(error) : error;
  }
  if (!(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  const lost =
    /Connection terminated|connection error and is not queryable|Client was closed|timeout expired|timeout exceeded/i;
  return (code !== undefined && connectionCodes.has(code)) || lost.test(error.message)
    ? new DatabaseUnavailable(error)
    : error;
}

/** What was thrown, as an error whatever it was. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
