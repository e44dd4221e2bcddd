import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';

export type Algorithm = 'RS256' | 'ES256' | 'EdDSA';

/** A public key, parsed once, that verifies one algorithm and no other. */
export interface PinnedKey {
  /** `kid` */
  readonly id: string;
  readonly algorithm: Algorithm;
  readonly key: KeyObject;
  /** Equal for equal keys; tells whether a key is still the one that verified an identity. */
  readonly fingerprint: string;
}

/** A published key that cannot be used; the message says why, for our log. */
export class UnusableKey extends Error {}

/** RFC 7518 §3.3 */
const minRsaBits = 2_048;

/**
 * Pins the algorithm of a JSON Web Key: its own `alg`, else the one that its type has (RFC 8725 §3.1). Takes public
 * members only, so a private key that an issuer published by mistake is not kept.
 * @throws UnusableKey
 */
export function pinnedKeyOf(jwk: unknown): PinnedKey {
  if (typeof jwk !== 'object' || jwk === null) throw new UnusableKey('it is no object');
  const { kid, kty, crv, alg, use, key_ops: operations, ...members } = jwk as Record<string, unknown>;
  if (typeof kid !== 'string' || kid === '') throw new UnusableKey('it has no kid');
  if (use !== undefined && use !== 'sig') throw new UnusableKey('it is not for signatures');
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    throw new UnusableKey('it may not verify');
  }
  const { algorithm, names } = kindOf(kty, crv);
  if (alg !== undefined && alg !== algorithm) throw new UnusableKey(`its alg is not ${algorithm}`);
  const publicJwk: JsonWebKey = { kty: kty as string, ...(crv === undefined ? {} : { crv: crv as string }) };
  for (const name of names) publicJwk[name] = members[name];
  const key = parsed(publicJwk);
  if ((key.asymmetricKeyDetails?.modulusLength ?? Infinity) < minRsaBits) {
    throw new UnusableKey(`it has fewer than ${minRsaBits} bits`);
  }
  return { id: kid, algorithm, key, fingerprint: JSON.stringify(publicJwk) };
}

function kindOf(kty: unknown, crv: unknown): { algorithm: Algorithm; names: readonly string[] } {
  if (kty === 'RSA' && crv === undefined) return { algorithm: 'RS256', names: ['n', 'e'] };
  if (kty === 'EC' && crv === 'P-256') return { algorithm: 'ES256', names: ['x', 'y'] };
  if (kty === 'OKP' && crv === 'Ed25519') return { algorithm: 'EdDSA', names: ['x'] };
  throw new UnusableKey('it verifies none of RS256, ES256 and EdDSA');
}

function parsed(jwk: JsonWebKey): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch (error) {
    throw new UnusableKey('it cannot be parsed', { cause: error });
  }
}
