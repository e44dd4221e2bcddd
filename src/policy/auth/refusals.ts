import { PolicyRefusal } from '../errors/policy-refusal';

/** Why a token was refused; a label of `authoriser_refusals_total`, so there are few. */
export type RefusalReason =
  'malformed' | 'algorithm' | 'unknown_key' | 'signature' | 'claims' | 'expired' | 'not_yet_valid' | 'revoked';

/** A token that is not accepted. */
export class TokenRefused extends Error {
  constructor(
    readonly reason: RefusalReason,
    /** For our logs only; the client is told less. */
    detail: string,
  ) {
    super(detail);
  }

  /** Whether the same token will be refused in ten seconds, too. An unknown key may be fetched, and time passes by itself. */
  get isLasting(): boolean {
    return this.reason !== 'unknown_key' && this.reason !== 'not_yet_valid';
  }
}

/** The issuer's keys cannot be fetched now, so nothing can be said about the token. */
export class KeysUnavailable extends Error {
  constructor() {
    super('The keys of the issuer are unavailable');
  }
}

const realm = 'Bearer realm="gatehouse"';

function unauthorised(code: string, detail: string, error?: string, reason?: 'expired' | 'revoked'): PolicyRefusal {
  const challenge = error === undefined ? realm : `${realm}, error="${error}", error_description="${detail}"`;
  const headers = { 'WWW-Authenticate': challenge };
  return new PolicyRefusal(401, code, 'Unauthorized', detail, { headers, ...(reason && { reason }) });
}

/*
 * RFC 6750 §3 and §3.1. Made once: a refusal under a flood must not cost a stack trace. The RFC would answer
 * `invalid_request` with 400; whoever comes without a usable token gets one status here, 401.
 */

/** No token was sent, or another scheme was tried: no error code. */
export const tokenRequired = unauthorised('token_required', 'A bearer token is required');
export const malformedHeader = unauthorised(
  'invalid_request',
  'The Authorization header is malformed',
  'invalid_request',
);
export const malformedToken = unauthorised('invalid_token', 'The access token is malformed', 'invalid_token');
export const severalTokens = unauthorised(
  'invalid_request',
  'The token must be sent once, in the Authorization header',
  'invalid_request',
);
const invalidToken = unauthorised('invalid_token', 'The access token is invalid', 'invalid_token');
const expiredToken = unauthorised('invalid_token', 'The access token expired', 'invalid_token', 'expired');
const revokedToken = unauthorised('invalid_token', 'The access token was revoked', 'invalid_token', 'revoked');

/** What the client is told of a refused token. */
export function refusalOf(reason: RefusalReason): PolicyRefusal {
  if (reason === 'expired') return expiredToken;
  return reason === 'revoked' ? revokedToken : invalidToken;
}

export const keysUnavailable = new PolicyRefusal(
  503,
  'keys_unavailable',
  'An unexpected error occurred',
  'An unexpected error occurred',
  { headers: { 'Retry-After': '1' } },
);

const refusalsOfRoles = new WeakMap<readonly string[], PolicyRefusal>();

/** Names the roles of which one is needed, as the documentation of the routes does. Made once for each route. */
export function insufficientRole(anyOf: readonly string[]): PolicyRefusal {
  let refusal = refusalsOfRoles.get(anyOf);
  if (!refusal) {
    const detail = `The role of the caller does not allow this; it takes one of: ${anyOf.join(', ')}`;
    refusal = new PolicyRefusal(403, 'insufficient_role', 'Forbidden', detail);
    refusalsOfRoles.set(anyOf, refusal);
  }
  return refusal;
}

/** RFC 6750 §3.1: names the scopes of which one is needed. */
export function insufficientScope(anyOf: readonly string[]): PolicyRefusal {
  const detail = 'The token has none of the scopes that allow this';
  const challenge = `${realm}, error="insufficient_scope", error_description="${detail}", scope="${anyOf.join(' ')}"`;
  return new PolicyRefusal(403, 'insufficient_scope', 'Forbidden', detail, {
    headers: { 'WWW-Authenticate': challenge },
  });
}
