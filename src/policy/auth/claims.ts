import type { JWTPayload } from 'jose';
import { type Caller, type Role, roles } from './caller';
import { TokenRefused } from './refusals';

/** How far the clocks of the issuer and of this node may differ, in seconds. */
export const leewaySeconds = 30;

/** OpenID Connect Core §2 bounds `sub` at 255; the other names get the same. */
const maxTextLength = 255;
/** Control characters (NUL cannot be stored) and halves of surrogate pairs (they cannot be encoded). */
const unfit = /[\p{Control}\p{Surrogate}]/u;
const roleNames: ReadonlySet<string> = new Set(roles);

/**
 * The identity behind a payload whose signature, `aud`, `exp` and `nbf` were verified. Checks the type of every claim it
 * takes, that `iat` is not in the future, and that the token lives no longer than a revocation is remembered.
 * @throws TokenRefused
 */
export function callerOf(payload: JWTPayload, nowSeconds: number, maxLifetimeSeconds: number): Caller {
  const issuedAt = numberOf(payload, 'iat');
  const expiresAt = numberOf(payload, 'exp');
  if (issuedAt > nowSeconds + leewaySeconds) throw new TokenRefused('not_yet_valid', 'iat lies in the future');
  if (expiresAt - issuedAt > maxLifetimeSeconds) throw new TokenRefused('claims', 'exp - iat is too long');
  const userId = textOf(payload, 'sub');
  if (userId === undefined) throw new TokenRefused('claims', 'sub is missing');
  const practiceId = textOf(payload, 'practice_id');
  return Object.freeze({
    userId,
    clientId: textOf(payload, 'client_id') ?? userId,
    practiceId,
    workspaceId: textOf(payload, 'workspace_id'),
    accountId: textOf(payload, 'account_id') ?? practiceId,
    role: roleOf(payload),
    scopes: scopesOf(payload),
    plan: textOf(payload, 'plan') ?? 'standard',
    usagePlan: textOf(payload, 'usage_plan'),
    region: textOf(payload, 'region') ?? 'us-east-1',
    deviceId: textOf(payload, 'device_id'),
    tokenId: textOf(payload, 'jti'),
    issuedAt,
    expiresAt,
  });
}

function numberOf(payload: JWTPayload, claim: string): number {
  const value = payload[claim];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TokenRefused('claims', `${claim} is no number`);
  return value;
}

function textOf(payload: JWTPayload, claim: string): string | undefined {
  const value = payload[claim];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '' || value.length > maxTextLength) {
    throw new TokenRefused('claims', `${claim} is no text of 1 to ${maxTextLength} characters`);
  }
  if (unfit.test(value)) {
    throw new TokenRefused('claims', `${claim} has characters that no name has`);
  }
  return value;
}

function roleOf(payload: JWTPayload): Role | undefined {
  const role = textOf(payload, 'role');
  if (role !== undefined && !roleNames.has(role)) throw new TokenRefused('claims', 'role is unknown');
  return role as Role | undefined;
}

/** RFC 8693 §4.2: names separated by spaces. */
function scopesOf(payload: JWTPayload): readonly string[] {
  const { scope } = payload;
  if (scope === undefined) return noScopes;
  if (typeof scope !== 'string' || unfit.test(scope)) {
    throw new TokenRefused('claims', 'scope is no text');
  }
  return Object.freeze(scope.split(' ').filter((name) => name !== ''));
}

const noScopes: readonly string[] = Object.freeze([]);
