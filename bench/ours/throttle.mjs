// @ts-check
/** One decision on a method's tier, the plan's rate and the day's quota, as `ThrottlingGuard` asks for it, without the server round it. */
import { exported } from './exported.mjs';

/** Here the question is what Redis decides; deciding without it is not to happen, whatever the machine does. */
const DEADLINE_MS = '10000';

/**
 * The store that decides, as the application builds it.
 * @param {string} redisUrl @param {() => number} [micros] the time of the decisions instead of Redis', in µs since 1970
 */
export async function openStore(redisUrl, micros) {
  const [Config, Clock] = await exported('platform/config/index.js', 'Config', 'Clock');
  const [Log, Metrics] = await exported('platform/telemetry/index.js', 'Log', 'Metrics');
  const [Redis] = await exported('platform/redis/index.js', 'Redis');
  const [RedisWatch] = await exported('policy/throttling/redis-watch.js', 'RedisWatch');
  const [LocalLimits] = await exported('policy/throttling/local-limits.js', 'LocalLimits');
  const [OnRedisTime] = await exported('policy/throttling/limit-store.js', 'LimitStore');
  class OnGivenTime extends OnRedisTime {
    redisMicros() {
      return micros?.() ?? 0;
    }
  }
  const LimitStore = micros ? OnGivenTime : OnRedisTime;

  const config = Config.from({ REDIS_URL: redisUrl, REDIS_DEADLINE_MS: DEADLINE_MS, LOG_LEVEL: 'silent' });
  const [clock, log, metrics] = [new Clock(), new Log(config), new Metrics()];
  const redis = new Redis(config, log, metrics);
  const watch = new RedisWatch(redis, config, log, metrics);
  const store = new LimitStore(redis, config, clock, watch, new LocalLimits(clock, watch));
  await watch.onModuleInit();
  return {
    store,
    config,
    clock,
    metrics,
    redis,
    close() {
      watch.onApplicationShutdown();
      redis.onApplicationShutdown();
    },
  };
}

/** @param {import('../peers/throttle.mjs').Config} config */
export async function create({ redisUrl, keys, prefix, tier, plan }) {
  const [LimitKeys] = await exported('policy/throttling/limit-keys.js', 'LimitKeys');
  const [ruleOf] = await exported('policy/throttling/limits.js', 'ruleOf');
  const { store, metrics, close } = await openStore(redisUrl);
  const rule = ruleOf([
    { kind: 'window', name: 'post', requests: tier.limit, windowMs: tier.windowSeconds * 1000 },
    {
      kind: 'plan',
      name: 'plan',
      burstRequests: plan.burst,
      requestsPerSecond: plan.perSecond,
      requestsPerDay: plan.perDay,
    },
  ]);
  const known = new LimitKeys();
  return {
    async operate(/** @type {number} */ i) {
      const app = known.of(`${prefix}${i % keys}`);
      return (await store.decide(rule, [app.window('team', 'post'), app.plan], 1)).allowed;
    },
    async summary() {
      const { values } = await metrics.registry.getSingleMetric('throttle_local_decisions_total').get();
      return { decidedLocally: values[0]?.value ?? 0 };
    },
    close,
  };
}
