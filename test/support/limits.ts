import { Writable } from 'node:stream';
import { ManualClock, Config } from '../../src/platform/config';
import { Redis } from '../../src/platform/redis';
import { Log, Metrics } from '../../src/platform/telemetry';
import { LimitKey, LimitKeys } from '../../src/policy/throttling/limit-keys';
import { type Decision, LimitStore } from '../../src/policy/throttling/limit-store';
import { type Rule, ruleOf, type WindowLimit } from '../../src/policy/throttling/limits';
import { LocalLimits } from '../../src/policy/throttling/local-limits';
import { RedisWatch } from '../../src/policy/throttling/redis-watch';

/** A store whose scripts are told the time, where a test moves it; 0 is Redis' own clock, as in production. */
class TimedStore extends LimitStore {
  micros = 0;

  protected override redisMicros(): number {
    return this.micros;
  }
}

/** The limits of one node: its store, its watch over Redis, its clock. */
export class LimitNode {
  readonly clock = new ManualClock();
  readonly keys = new LimitKeys();
  readonly metrics = new Metrics();
  readonly lines: string[] = [];
  readonly redis: Redis;
  readonly watch: RedisWatch;
  readonly store: TimedStore;

  private constructor(environment: Readonly<Record<string, string>>) {
    const config = Config.from({ NODE_ENV: 'test', ...environment });
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.lines.push(chunk.toString());
        done();
      },
    });
    const log = new Log(config, sink);
    this.redis = new Redis(config, log, this.metrics);
    this.watch = new RedisWatch(this.redis, config, log, this.metrics);
    const local = new LocalLimits(this.clock, this.watch);
    this.store = new TimedStore(this.redis, config, this.clock, this.watch, local);
  }

  /** A node on this Redis. Its deadline is generous unless the test gives one: a loaded machine is not a lost Redis. */
  static async start(redisUrl: string, environment: Record<string, string> = {}): Promise<LimitNode> {
    const node = new LimitNode({ REDIS_URL: redisUrl, REDIS_DEADLINE_MS: '2000', ...environment });
    await node.watch.onModuleInit();
    return node;
  }

  /** Decides without what the process remembers, as a node that never saw the key would. */
  async fresh(rule: Rule, names: readonly string[], weight = 1): Promise<Decision> {
    const keys = names.map((name) => new LimitKey(name, name));
    return this.store.decide(rule, keys, weight);
  }

  async metric(name: string): Promise<number> {
    const values = (await this.metrics.registry.getSingleMetric(name)?.get())?.values ?? [];
    return values.reduce((sum, { value }) => sum + value, 0);
  }

  stop(): void {
    this.watch.onApplicationShutdown();
    this.redis.onApplicationShutdown();
  }
}

/** A rule of one window. */
export function windowRule(requests: number, windowMs = 60_000, name = 'test'): Rule {
  const limit: WindowLimit = { kind: 'window', name, requests, windowMs };
  return ruleOf([limit]);
}

let made = 0;

/** A key's name that no other test has. */
export function freshName(): string {
  made += 1;
  return `test:{${process.pid}-${made}}`;
}
