import { randomUUID } from 'node:crypto';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '../../platform/config';
import { Redis } from '../../platform/redis';
import { script } from './limit-scripts';
import { callScript } from './script-caller';

const flushEveryMs = 1_000;
const deadlineMs = 1_000;
const hourMs = 3_600_000;
/** An hour is shown until the next one is over. */
const keptMs = 2 * hourMs + 60_000;
/** Apps that one node counts between two flushes; those beyond it are not counted. */
const mostApps = 50_000;
const mostInCall = 500;
/** Apps that Redis keeps of an hour: the busiest. One that falls out begins anew, so a list's last places are lower bounds. */
const mostKept = 10_000;

/** What a list of apps is sorted by. */
export type AppRanking = 'requests' | 'refused';

/** An app's requests of one hour. */
export interface AppCount {
  readonly clientId: string;
  readonly requests: number;
  /** Those beyond a limit; in shadow mode, those that would have been refused. */
  readonly refused: number;
}

interface Count {
  requests: number;
  refused: number;
}

/** What a node tells in one call, the same each time that it has to be told again. */
interface Batch {
  readonly number: number;
  readonly keys: readonly string[];
  readonly values: readonly (string | number)[];
}

/**
 * `KEYS`: requests and refused of an hour, and the number of the node's last batch. `ARGV`: how many to keep, how long,
 * the batch's number, then app, requests and refused of each. A batch that was counted already changes nothing.
 */
const addScript = script(`
if tonumber(redis.call('GET', KEYS[3]) or '0') >= tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[2])
for i = 4, #ARGV, 3 do
  redis.call('ZINCRBY', KEYS[1], ARGV[i + 1], ARGV[i])
  if ARGV[i + 2] ~= '0' then redis.call('ZINCRBY', KEYS[2], ARGV[i + 2], ARGV[i]) end
end
for k = 1, 2 do
  redis.call('ZREMRANGEBYRANK', KEYS[k], 0, -1 - ARGV[1])
  redis.call('PEXPIRE', KEYS[k], ARGV[2])
end
return 1
`);

/**
 * Counts the requests and refusals of each app, for the operator. In the process, and told to Redis once a second: a
 * decision costs no call more. What is counted while Redis is away is told when it is back, and what it may have heard
 * before an answer was lost is counted once.
 */
@Injectable()
export class AppTally implements OnApplicationShutdown {
  private counts = new Map<string, Count>();
  private timer: NodeJS.Timeout | undefined;
  private readonly node = randomUUID();
  private batches = 0;
  private untold: Batch[] = [];
  private telling = Promise.resolve();

  constructor(
    private readonly redis: Redis,
    private readonly clock: Clock,
  ) {}

  count(clientId: string, allowed: boolean): void {
    let count = this.counts.get(clientId);
    if (!count) {
      if (this.counts.size >= mostApps) return;
      this.counts.set(clientId, (count = { requests: 0, refused: 0 }));
      this.timer ??= setTimeout(this.flush, flushEveryMs).unref();
    }
    count.requests += 1;
    if (!allowed) count.refused += 1;
  }

  /**
   * The apps with the most requests, or refusals, of an hour of UTC.
   * @param hoursAgo 0 for the hour that runs, 1 for the one before
   * @throws RedisUnavailable
   */
  async top(by: AppRanking, hoursAgo: 0 | 1, limit: number): Promise<AppCount[]> {
    const keys = this.keysOf(hoursAgo);
    const [first, second] = by === 'requests' ? keys : [keys[1], keys[0]];
    const ranked = await this.redis.ask((redis) => redis.zrevrange(first, 0, limit - 1, 'WITHSCORES'), deadlineMs);
    const apps = ranked.filter((_, index) => index % 2 === 0);
    if (apps.length === 0) return [];
    const others = await this.redis.ask((redis) => redis.zmscore(second, ...apps), deadlineMs);
    return apps.map((clientId, index) => {
      const own = Number(ranked[2 * index + 1]);
      const other = Number(others[index] ?? 0);
      return by === 'requests'
        ? { clientId, requests: own, refused: other }
        : { clientId, requests: other, refused: own };
    });
  }

  /** When that hour began, in milliseconds since 1970. */
  beginOf(hoursAgo: 0 | 1): number {
    return (Math.floor(this.clock.now() / hourMs) - hoursAgo) * hourMs;
  }

  async onApplicationShutdown(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    await this.tell();
  }

  private readonly flush = (): void => {
    this.timer = undefined;
    void this.tell();
  };

  private tell(): Promise<void> {
    return (this.telling = this.telling.then(() => this.tellAll()));
  }

  private async tellAll(): Promise<void> {
    try {
      await this.tellBatches();
      this.makeBatches();
      await this.tellBatches();
    } catch {
      // The watch over Redis has said that it is away; these are told first when it is back.
      this.timer ??= setTimeout(this.flush, flushEveryMs).unref();
    }
  }

  private async tellBatches(): Promise<void> {
    for (let batch = this.untold[0]; batch; batch = this.untold[0]) {
      const values = [mostKept, keptMs, batch.number, ...batch.values];
      await callScript(this.redis, addScript, batch.keys, values, deadlineMs);
      this.untold.shift();
    }
  }

  private makeBatches(): void {
    const counts = [...this.counts];
    this.counts = new Map();
    const keys = [...this.keysOf(0), `rl:{apps}:told:${this.node}`];
    for (let at = 0; at < counts.length; at += mostInCall) {
      const part = counts.slice(at, at + mostInCall);
      const values = part.flatMap(([clientId, { requests, refused }]) => [clientId, requests, refused]);
      this.untold.push({ number: (this.batches += 1), keys, values });
    }
  }

  private keysOf(hoursAgo: 0 | 1): [requests: string, refused: string] {
    const hour = this.beginOf(hoursAgo) / hourMs;
    return [`rl:{apps}:requests:${hour}`, `rl:{apps}:refused:${hour}`];
  }
}
