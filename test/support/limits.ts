import { Writable } from 'node:stream';
import { ManualClock, Config } from '../../src/platform/config';
import { Redis } from '../../src/platform/redis';
import { Log, Metrics } from '../../src/platform/telemetry';
import { LimitKey, LimitKeys } from '../../src/policy/throttling/limit-keys';
import { type Decision, LimitStore } from '../../src/policy/throttling/limit-store';
import { type Rule, ruleOf, type WindowLimit } from '../../src/policy/throttling/limits';
import { LocalLimits } from '../../src/policy/throttling/local-limits';
import { RedisWatch } from '../../src/policy/throttling/redis-watch';
import { until } from './until';
import { World } from './world';

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
    const node = new LimitNode({ REDIS_URL: redisUrl, REDIS_DEADLINE_MS: '10000', ...environment });
    await node.watch.onModuleInit();
    return node;
  }

  /** Decides without what the process remembers, as a node that never saw the key would. */
  async fresh(rule: Rule, names: readonly string[], weight = 1): Promise<Decision> {
    const keys = names.map((name) => new LimitKey(name, name));
    return this.store.decide(rule, keys, weight);
  }

  /** Waits until it asks Redis. */
  trusted(): Promise<void> {
    return until(() => this.watch.isTrusted, 30_000);
  }

  /** Decides again and again, as requests come. */
  decideUntil(done: () => boolean): Promise<void> {
    return until(async () => {
      await this.fresh(windowRule(10), [freshName()]);
      return done();
    });
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

const noon = Date.UTC(2026, 4, 1, 12) * 1000;

/** A node for all tests of a `describe`, and the time its scripts are told. */
export interface NodeOfTests {
  readonly node: LimitNode;
  /** Moves the time to so many milliseconds behind a noon; with the next test it is Redis' own again. */
  readonly at: (ms: number) => void;
  /** Whether a request passes of which this process remembers nothing. */
  readonly passes: (rule: Rule, names: readonly string[], weight?: number) => Promise<boolean>;
}

/** Starts a node on a Redis of its own for the `describe` it is called in, and ends both with it. */
export function nodeOfTests(): NodeOfTests {
  let world: World;
  let node: LimitNode;
  beforeAll(async () => {
    world = await World.create();
    node = await LimitNode.start(world.redisUrl);
    await node.trusted();
  });
  afterEach(() => {
    node.store.micros = 0;
  });
  afterAll(async () => {
    node.stop();
    await world.end();
  });
  return {
    get node() {
      return node;
    },
    at: (ms) => {
      node.store.micros = noon + ms * 1000;
    },
    passes: async (rule, names, weight) => (await node.fresh(rule, names, weight)).allowed,
  };
}

/** For a Redis that stands still: longer than in production, since a busy machine is late by some hundredths of a second. */
export const shortDeadline = { REDIS_DEADLINE_MS: '500' };

/** Starts servers of its own for the `describe` it is called in, and for each of its tests a node alone; tells both. */
export function nodeOfFaults(
  environment: Record<string, string> = {},
): () => { readonly world: World; readonly node: LimitNode } {
  let world: World;
  let node: LimitNode;
  beforeAll(async () => {
    world = await World.create();
  });
  afterAll(() => world.end());
  beforeEach(async () => {
    node = await LimitNode.start(world.redisUrl, environment);
    await node.trusted();
  });
  afterEach(async () => {
    node.watch.onApplicationShutdown(); // beats no more
    await node.redis.commands.del('rl:{nodes}'); // so that the next test's node is alone from its start
    node.stop();
  });
  return () => ({ world, node });
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
