// @ts-check
/** Full RS256 verification by three libraries, the key parsed once, as each recommends; and fast-jwt's cache of verified tokens. */
import { createPublicKey } from 'node:crypto';
import { createVerifier } from 'fast-jwt';
import { jwtVerify } from 'jose';
import jsonwebtoken from 'jsonwebtoken';

/** @param {{ library: string, token: string, publicKeyPem: string, issuer: string, audience: string }} config */
export function create({ library, token, publicKeyPem, issuer, audience }) {
  const key = createPublicKey(publicKeyPem);
  const fastJwt = (/** @type {boolean} */ cache) =>
    createVerifier({ key: publicKeyPem, algorithms: ['RS256'], allowedIss: issuer, allowedAud: audience, cache });
  /** @type {Record<string, () => () => unknown>} */
  const libraries = {
    jsonwebtoken: () => () => jsonwebtoken.verify(token, key, { algorithms: ['RS256'], issuer, audience }),
    jose: () => () => jwtVerify(token, key, { algorithms: ['RS256'], issuer, audience }),
    'fast-jwt': () => {
      const verify = fastJwt(false);
      return () => verify(token);
    },
    'fast-jwt, cached': () => {
      const verify = fastJwt(true);
      return () => verify(token);
    },
  };
  return { operate: libraries[library]() };
}
