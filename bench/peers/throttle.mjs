// @ts-check
/**
 * The same three limits (a method's tier, the plan's rate, the day's quota) by two libraries, each as its documentation has it, over ioredis without auto-pipelining as ours;
 * and one bare `INCR`, the least that any decision in Redis can cost.
 */
import { createHash } from 'node:crypto';
import { Ratelimit } from '@upstash/ratelimit';
import { Redis } from 'ioredis';
import { RateLimiterRedis, RateLimiterUnion } from 'rate-limiter-flexible';

/**
 * @typedef {object} Config
 * @property {string} library
 * @property {string} redisUrl
 * @property {number} keys How many callers take turns.
 * @property {string} prefix Of the callers' names.
 * @property {{ limit: number, windowSeconds: number }} tier
 * @property {{ burst: number, perSecond: number, perDay: number }} plan
 */

const DAY_SECONDS = 86_400;

/** @type {Record<string, (redis: Redis, config: Config) => (caller: string) => Promise<boolean>>} */
const libraries = {
  'bare INCR': (redis) => async (caller) => (await redis.incr(`bench:${caller}`)) > 0,

  'rate-limiter-flexible': (redis, { tier, plan }) => {
    const limiter = (/** @type {string} */ keyPrefix, /** @type {number} */ points, /** @type {number} */ duration) =>
      new RateLimiterRedis({ storeClient: redis, keyPrefix, points, duration });
    const union = new RateLimiterUnion(
      limiter('tier', tier.limit, tier.windowSeconds),
      limiter('plan', plan.perSecond, 1),
      limiter('quota', plan.perDay, DAY_SECONDS),
    );
    return (caller) => union.consume(caller).then(() => true, refused);
  },

  // The library itself, its REST client replaced by ioredis: what is compared is its scripts, not its transport.
  '@upstash/ratelimit': (redis, { tier, plan }) => {
    /** @type {Map<string, string>} */
    const known = new Map();
    const client = {
      /** @param {string} hash @param {string[]} keys @param {string[]} args */
      evalsha: (hash, keys, args) => redis.evalsha(known.get(hash) ?? hash, keys.length, ...keys, ...args),
      /** @param {string} script @param {string[]} keys @param {string[]} args */
      eval: async (script, keys, args) => {
        const plain = script.replace(/^#!lua.*/, ''); // a flag that only Upstash's own server knows
        const hash = String(await redis.script('LOAD', plain));
        known.set(createHash('sha1').update(script).digest('hex'), hash);
        return redis.evalsha(hash, keys.length, ...keys, ...args);
      },
    };
    const limiter = (/** @type {string} */ prefix, /** @type {number} */ tokens, /** @type {number} */ seconds) =>
      new Ratelimit({
        redis: /** @type {any} */ (client),
        prefix,
        limiter: Ratelimit.slidingWindow(tokens, `${seconds} s`),
        ephemeralCache: false,
        analytics: false,
        timeout: 0,
      });
    const limiters = [
      limiter('tier', tier.limit, tier.windowSeconds),
      limiter('plan', plan.perSecond, 1),
      limiter('quota', plan.perDay, DAY_SECONDS),
    ];
    return async (caller) =>
      (await Promise.all(limiters.map((each) => each.limit(caller)))).every(({ success }) => success);
  },
};

/** rate-limiter-flexible rejects a refused caller with one result a limiter, and a fault with an `Error`. @param {Record<string, unknown>} reasons */
function refused(reasons) {
  const fault = Object.values(reasons).find((reason) => reason instanceof Error);
  if (fault) throw fault;
  return false;
}

/** @param {Config} config */
export async function create(config) {
  const redis = new Redis(config.redisUrl, { enableAutoPipelining: false });
  const decide = libraries[config.library](redis, config);
  // Connected, and scripts known to the server, before anything is timed.
  await decide(`${config.prefix}warm`);
  return {
    operate: (/** @type {number} */ i) => decide(`${config.prefix}${i % config.keys}`),
    close: () => redis.quit(),
  };
}
