// @ts-check
/**
 * One decision of Gatehouse on all limits of a request. The only file that knows where it lies.
 * Expects of it: `createBenchThrottle({ redisUrl, tier: { limit, windowSeconds }, plan: { burst, perSecond, perDay } })` → `{ decide(app): Promise<boolean>, close() }`,
 * through an ioredis of its own without auto-pipelining.
 */
import { exported } from './exported.mjs';

const FILE = 'dist/policy/throttling/bench.js';
const NAME = 'createBenchThrottle';

/** @param {import('../peers/throttle.mjs').Config} config */
export async function create({ redisUrl, keys, prefix, tier, plan }) {
  const createBenchThrottle = await exported(FILE, NAME);
  const throttle = await createBenchThrottle({ redisUrl, tier, plan });
  return {
    operate: (/** @type {number} */ i) => throttle.decide(`${prefix}${i % keys}`),
    close: () => throttle.close(),
  };
}
