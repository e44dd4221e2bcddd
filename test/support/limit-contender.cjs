// One of several processes that contend for the same limits. Told over IPC: { name, requests, calls, micros }.
const { join } = require('node:path');
require('reflect-metadata');
const [builtDir, redisUrl] = process.argv.slice(2);
const from = (path) => require(join(builtDir, path));
const { Config, Clock } = from('platform/config');
const { Redis } = from('platform/redis');
const { Log, Metrics } = from('platform/telemetry');
const { LimitKey } = from('policy/throttling/limit-keys');
const { LimitStore } = from('policy/throttling/limit-store');
const { ruleOf } = from('policy/throttling/limits');
const { LocalLimits } = from('policy/throttling/local-limits');
const { RedisWatch } = from('policy/throttling/redis-watch');

class TimedStore extends LimitStore {
  micros = 0;
  redisMicros() {
    return this.micros;
  }
}

async function main() {
  const config = Config.from({ NODE_ENV: 'test', REDIS_URL: redisUrl, REDIS_DEADLINE_MS: '5000', LOG_LEVEL: 'silent' });
  const [log, metrics, clock] = [new Log(config), new Metrics(), new Clock()];
  const redis = new Redis(config, log, metrics);
  const watch = new RedisWatch(redis, config, log, metrics);
  const store = new TimedStore(redis, config, clock, watch, new LocalLimits(clock, watch));
  await watch.onModuleInit();
  process.on('message', async ({ name, requests, calls, micros }) => {
    store.micros = micros;
    const rule = ruleOf([{ kind: 'window', name: 'test', requests, windowMs: 60_000 }]);
    const decisions = await Promise.all(
      Array.from({ length: calls }, () => store.decide(rule, [new LimitKey(name, name)], 1)),
    );
    const passed = decisions.filter(({ allowed }) => allowed).length;
    process.send({ passed, local: decisions.filter(({ decidedAtMs }) => decidedAtMs === undefined).length });
  });
  while (!watch.isTrusted) await new Promise((done) => setTimeout(done, 20));
  process.send('ready');
}

void main();
