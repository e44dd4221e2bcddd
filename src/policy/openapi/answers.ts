import { ApiProperty, getSchemaPath } from '@nestjs/swagger';
import { STATUS_CODES } from 'node:http';
import type { RoutePolicies } from '../routes';

/** One wrong place in the input. */
class ProblemError {
  @ApiProperty({ type: String, description: 'Where, as a JSON Pointer', example: '/slotId' })
  readonly path!: string;

  @ApiProperty({ type: String, example: 'is required' })
  readonly message!: string;
}

/** What every refusal says (RFC 9457). */
export class Problem {
  @ApiProperty({ type: String, format: 'uri', example: 'urn:gatehouse:problem:validation_failed' })
  readonly type!: string;

  @ApiProperty({ type: String, example: 'Validation failed' })
  readonly title!: string;

  @ApiProperty({ type: 'integer', example: 400 })
  readonly status!: number;

  @ApiProperty({ type: String, example: 'The request has invalid fields' })
  readonly detail!: string;

  @ApiProperty({ type: String, example: '/appointments' })
  readonly instance!: string;

  @ApiProperty({ type: String, description: 'The short text', example: 'Validation failed' })
  readonly error!: string;

  @ApiProperty({ type: String, description: 'Stable and machine-readable', example: 'validation_failed' })
  readonly code!: string;

  @ApiProperty({ type: String, description: 'Also in the header X-Correlation-Id', example: 'c0ffee-1' })
  readonly correlationId!: string;

  @ApiProperty({ type: () => ProblemError, isArray: true, required: false })
  readonly errors?: ProblemError[];

  @ApiProperty({ type: 'integer', required: false, description: 'Seconds to wait, where waiting helps' })
  readonly retryAfter?: number;
}

type Answers = Record<string, unknown>;

const text = (description: string, example: string) => ({ description, schema: { type: 'string', example } });
const integer = (description: string, example: number) => ({ description, schema: { type: 'integer', example } });

const correlation = {
  'X-Correlation-Id': text('The caller’s, or a new one', 'c0ffee-1'),
  'X-Request-Id': text('This request alone', '0d5c0b52-7a1e-4c0b-9c4d-3f0a6f1f1f11'),
};

const rate = {
  'X-Rate-Limit-Limit': integer('Requests that the tightest limit allows', 10),
  'X-Rate-Limit-Remaining': integer('Requests left', 9),
  'X-Rate-Limit-Reset': integer('When more of it becomes available, in epoch seconds', 1_795_480_000),
  'RateLimit-Policy': text('The limits (structured field)', '"plan";q=10;w=1'),
  RateLimit: text('Where they stand (structured field)', '"plan";r=9;t=1'),
};

const isLimited = (route: RoutePolicies) => route.public === undefined && route.unmetered === undefined;

/** What is told of scopes from authentication on. */
function scopesOf({ scopesTold, scopes }: RoutePolicies): Answers {
  if (!scopesTold) return {};
  return {
    'X-OAuth-Scopes': text('What the token holds', 'chat:write,channels:read'),
    ...(scopes && { 'X-Accepted-OAuth-Scopes': text('Any one of these is needed', scopes.join(',')) }),
  };
}

function headers(route: RoutePolicies): Answers {
  return { ...correlation, ...(isLimited(route) && rate), ...scopesOf(route) };
}

/** What a route answers when it succeeds. */
export function successAnswer(route: RoutePolicies): Answers {
  const status = route.answer?.status ?? 200;
  const view = route.answer?.view;
  const replayed = { 'Idempotent-Replayed': text('`true` where this is the answer to an earlier request', 'true') };
  const shape = route.errorShape;
  const success = view && { $ref: getSchemaPath(view) };
  // Where refusals have the status of a success, both are documented there.
  const isShared = shape?.statusOf(403) === status;
  const isApart = success && shape && isShared && view !== shape.view;
  const schema = isApart ? { anyOf: [success, { $ref: getSchemaPath(shape.view) }] } : success;
  return {
    [status]: {
      description: isShared ? `Done, or refused as ${shape.name} refuses` : (STATUS_CODES[status] ?? 'Success'),
      headers: { ...headers(route), ...(route.idempotent && replayed) },
      ...(schema && { content: { 'application/json': { schema } } }),
      ...(route.answer?.stream !== undefined && { content: { [route.answer.stream]: { schema: { type: 'string' } } } }),
      ...(!route.answer && { content: { 'text/plain': { schema: { type: 'string' } } } }),
    },
  };
}

const bodyTypes = {
  json: 'JSON',
  form: 'a form',
  'json-or-form': 'JSON or a form',
  raw: 'of that type',
  stream: 'of that type',
} as const;

/** Refused before the limits are asked; such an answer says nothing of them. */
const refusedBeforeLimits = new Set([401, 405, 408, 413, 414, 415, 417, 431]);
/** Refused where no route is known: as a problem document, whatever shape the routes of the path have. */
const refusedWithoutRoute = new Set([405, 408, 431]);

/**
 * Which refusals a route can say: those of its policies, and those that its domain declares (`@ApiConflictResponse`, …).
 * @param declared descriptions by status
 */
export function errorAnswers(route: RoutePolicies, declared: Readonly<Record<string, string>>): Answers {
  const takesBody = route.inputs.body !== undefined;
  const hasPathParameter = route.path.includes(':');
  const possible: [status: number, when: boolean, why: string][] = [
    [400, true, 'The request is malformed, or a field is invalid'],
    [401, route.public === undefined, 'No token, or one that is expired, revoked or not ours'],
    [403, true, 'The role, the scope or the tenant does not allow it, or the firewall refuses it'],
    [404, hasPathParameter || takesBody, 'Nothing of that id'],
    [405, true, 'The path has no such method; `Allow` names those that it has'],
    [408, true, 'The request was not complete in time'],
    [409, route.idempotent, 'The state of things does not allow it'],
    [413, true, 'The body is too large'],
    [414, true, 'The request target is too long'],
    [415, takesBody, `The body is not ${bodyTypes[route.body.kind ?? 'json']}`],
    [417, true, '`Expect` asks for something else than `100-continue`'],
    [422, route.idempotent, 'The idempotency key was used with another request'],
    [429, true, 'A rate limit is reached'],
    [431, true, 'The headers are too large together'],
    [500, true, 'An unexpected error occurred'],
    [503, true, 'The share of this class of requests is taken, or the database is away'],
    [504, true, 'The deadline of 29 s passed'],
  ];
  const reasons = new Map(possible.filter(([, when]) => when).map(([status, , why]) => [status, why]));
  for (const [status, why] of Object.entries(declared)) reasons.set(Number(status), why);
  const answers: Answers = {};
  const shape = route.errorShape;
  for (const [reason, description] of reasons) {
    const ownShape = refusedWithoutRoute.has(reason) ? undefined : shape;
    const status = ownShape?.statusOf(reason) ?? reason;
    if (ownShape && status !== reason) continue;
    answers[status] = {
      description,
      headers: {
        ...(refusedBeforeLimits.has(status) ? correlation : headers(route)),
        ...(status === 401 && { 'WWW-Authenticate': text('RFC 6750', 'Bearer error="invalid_token"') }),
        ...(status === 405 && { Allow: text('The methods of the path', 'GET, HEAD, OPTIONS') }),
        ...(status === 429 && rate), // the limit of an address, too
        ...((status === 429 || status === 503) && { 'Retry-After': integer('Seconds to wait', 1) }),
      },
      content: ownShape
        ? { 'application/json': { schema: { $ref: getSchemaPath(ownShape.view) } } }
        : { 'application/problem+json': { schema: { $ref: getSchemaPath(Problem) } } },
    };
  }
  return answers;
}
