// @ts-check
/** One caller, known to us and to every peer by a token of the same algorithm, key size and claims. */
import { generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';

/** The claims of the caller whose requests are counted and never limited. */
export const claims = Object.freeze({
  sub: 'user_bench',
  client_id: 'client_bench',
  practice_id: 'practice_bench',
  role: 'scheduling_agent',
  scope: 'bookings:read bookings:write',
  usage_plan: 'internal',
  plan: 'premium',
  region: 'us-east-1',
  device_id: 'device_bench',
});

export const issuer = 'https://issuer.bench.example';
export const audience = 'gatehouse';

/** An issuer for the peers: RS256, 2,048 bits, as the development issuer of Gatehouse. */
export function peerIssuer() {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    publicKeyPem: String(publicKey.export({ type: 'spki', format: 'pem' })),
    publicJwk: { ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'RS256', use: 'sig' },
    /** @param {Record<string, unknown>} [changes] */
    token: (changes = {}) =>
      new SignJWT({ ...claims, ...changes })
        .setProtectedHeader({ alg: 'RS256', kid: 'bench', typ: 'JWT' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime('12h')
        .setJti(crypto.randomUUID())
        .sign(privateKey),
  };
}
