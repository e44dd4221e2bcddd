import { HttpException } from '@nestjs/common';
import { STATUS_CODES } from 'node:http';
import { AuditUnavailable } from '../../platform/audit';
import {
  DatabaseBusy,
  DatabaseUnavailable,
  FieldKeyRetired,
  StatementCancelled,
  TenantUnknown,
  ValueRefused,
} from '../../platform/database';
import { DomainError, type DomainErrorKind } from './domain-error';
import { PolicyRefusal } from './policy-refusal';

/** A problem document (RFC 9457) with its headers. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  /** A finer word than `code`; it does not leave as such. */
  readonly reason?: string | undefined;
  readonly title: string;
  readonly detail: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly members: Readonly<Record<string, unknown>>;
}

const statusOf: Readonly<Record<DomainErrorKind, number>> = {
  invalid: 422,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  gone: 410,
  unavailable: 503,
};

/** There is more to do than can be done; what of it, the class of the route says. */
export const overloadedCode = 'overloaded';

const unexpected = 'An unexpected error occurred';

/** The one map from what is thrown to what the client is told; everything unknown is a 500 that says nothing. */
export function problemOf(error: unknown): Problem {
  if (error instanceof PolicyRefusal) {
    const { status, code, title, detail, extras } = error;
    const members = { ...(extras.errors && { errors: extras.errors }), ...extras.members };
    return { status, code, reason: extras.reason, title, detail, headers: extras.headers ?? {}, members };
  }
  if (error instanceof DomainError) {
    const { code, title, details } = error;
    return { status: statusOf[error.kind], code, title, detail: title, headers: {}, members: { ...details } };
  }
  if (error instanceof AuditUnavailable) return failure(503, 'audit_unavailable', { 'Retry-After': '1' });
  if (error instanceof DatabaseUnavailable) return failure(503, 'database_unavailable', { 'Retry-After': '1' });
  if (error instanceof FieldKeyRetired) return failure(503, 'field_key_retired', { 'Retry-After': '1' });
  if (error instanceof DatabaseBusy) return failure(503, overloadedCode, { 'Retry-After': '1' });
  if (error instanceof StatementCancelled) return failure(504, 'deadline_exceeded');
  if (error instanceof ValueRefused) {
    const detail = 'The request has a value that cannot be stored';
    return { status: 400, code: 'value_invalid', title: 'Validation failed', detail, headers: {}, members: {} };
  }
  if (error instanceof TenantUnknown) {
    const detail = 'The tenant of the token does not exist, or no longer does';
    return { status: 403, code: 'tenant_unknown', title: 'Forbidden', detail, headers: {}, members: {} };
  }
  const status = statusOfForeign(error);
  if (status !== undefined && status < 500) {
    const title = STATUS_CODES[status] ?? 'Error';
    return {
      status,
      code: title.toLowerCase().replaceAll(/[^a-z]+/g, '_'),
      title,
      detail: title,
      headers: {},
      members: {},
    };
  }
  return failure(500, 'internal_error');
}

function failure(status: number, code: string, headers: Record<string, string> = {}): Problem {
  return { status, code, title: unexpected, detail: unexpected, headers, members: {} };
}

/** Express and Nest throw errors with a status of their own: an undecodable path, an unknown route. */
function statusOfForeign(error: unknown): number | undefined {
  if (error instanceof HttpException) return error.getStatus();
  if (typeof error !== 'object' || error === null || !('status' in error)) return undefined;
  const { status } = error;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : undefined;
}
