// @ts-check
/**
 * The cached decision of Gatehouse, without the server round it. The only file that knows where it lies.
 * Expects of it: `createBenchAuthoriser({ issuer, audience, jwks })` → `{ authorise(token), verifications() }`, with `jwks` given instead of fetched.
 */
import { exported } from './exported.mjs';

const FILE = 'dist/policy/auth/bench.js';
const NAME = 'createBenchAuthoriser';

/** @param {{ token: string, jwk: object, issuer: string, audience: string }} config */
export async function create({ token, jwk, issuer, audience }) {
  const createBenchAuthoriser = await exported(FILE, NAME);
  const authoriser = await createBenchAuthoriser({ issuer, audience, jwks: { keys: [jwk] } });
  return { operate: () => authoriser.authorise(token), summary: () => ({ verifications: authoriser.verifications() }) };
}
