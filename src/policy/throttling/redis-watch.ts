import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { once } from 'node:events';
import { Config } from '../../platform/config';
import { newId } from '../../platform/identifiers';
import { Redis } from '../../platform/redis';
import { Log, Metrics } from '../../platform/telemetry';
import { pulseScript } from './limit-scripts';
import { callScript } from './script-caller';

const pulseEveryMs = 1_000;
const probeEveryMs = 250;
/** A node that was silent for so long counts as gone. */
const nodeLivesMs = 5_000;
const goodProbesNeeded = 2;
const firstContactMs = 2_000;
/** In the name's braces: on a Redis Cluster both lie in one slot. */
const pulseKeys = ['rl:{nodes}', 'rl:{nodes}memory'];
const learnWithinMs = 1_000;

/**
 * Whether Redis may be asked. The first failure opens the circuit: from then on nobody waits for Redis, which is probed in
 * the background until it answers in time twice in a row and has been told what was granted without it. Counts the live
 * nodes on the way, so that each knows its share when Redis is gone.
 */
@Injectable()
export class RedisWatch implements OnModuleInit, OnApplicationShutdown {
  /** This one's name. */
  readonly node = newId('node');
  /** Nodes that decide limits, this one included, as last known. */
  nodes = 1;
  /** Keys of one call must share a slot. */
  isCluster = false;
  /**
   * Grows with each time that Redis may have forgotten what it counted: it was emptied (seen within a second), or its
   * process is another one.
   */
  memory = 0;
  private mark: string | undefined;
  private runId: string | undefined;
  private trusted = true;
  private goodProbes = 0;
  private localInEpisode = 0;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private settle: () => Promise<void> = () => Promise.resolve();
  private readonly deadlineMs: number;
  /** A process that only runs queues takes no share. */
  private readonly decides: boolean;
  private readonly localDecisions: Counter;
  private readonly forgotten: Counter;

  constructor(
    private readonly redis: Redis,
    config: Config,
    private readonly log: Log,
    metrics: Metrics,
  ) {
    this.deadlineMs = config.get('REDIS_DEADLINE_MS');
    this.decides = config.servesApi;
    metrics.gauge('throttle_degraded', '1 while limits are decided in the process, without Redis', [], () =>
      Number(!this.trusted),
    );
    this.localDecisions = metrics.counter(
      'throttle_local_decisions_total',
      'Limits decided in the process, without Redis',
    );
    this.forgotten = metrics.counter(
      'throttle_forgotten_total',
      'Requests that Redis decided without what it had counted before; it was reminded and asked again',
    );
  }

  /** Whether decisions go to Redis. */
  get isTrusted(): boolean {
    return this.trusted;
  }

  /** What must be told to Redis before it is trusted again. */
  settleWith(settle: () => Promise<void>): void {
    this.settle = settle;
  }

  countLocal(): void {
    this.localInEpisode += 1;
    this.localDecisions.inc();
  }

  countForgotten(requests: number): void {
    this.forgotten.inc(requests);
  }

  /** Opens the circuit; says so once an episode. */
  distrust(cause: unknown): void {
    this.goodProbes = 0;
    if (!this.trusted) return;
    this.trusted = false;
    this.localInEpisode = 0;
    this.log.error(
      { err: cause, alarm: 'throttle_degraded', nodes: this.nodes },
      'Redis is away or late: limits are decided locally',
    );
    this.schedule(probeEveryMs);
  }

  async onModuleInit(): Promise<void> {
    if (!this.decides) return;
    if (!this.redis.isReady) {
      const patience = AbortSignal.timeout(firstContactMs);
      await once(this.redis.commands, 'ready', { signal: patience }).catch((error: unknown) => this.distrust(error));
    }
    try {
      await this.learn();
    } catch (error) {
      this.distrust(error);
    }
    // Another connection may lead to another Redis, or to the same one without its memory.
    this.redis.commands.on('ready', () => this.distrust(new Error('The connection is a new one')));
    await this.beat();
  }

  onApplicationShutdown(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private schedule(delayMs: number): void {
    clearTimeout(this.timer);
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.beat(), delayMs);
    this.timer.unref();
  }

  private async beat(): Promise<void> {
    try {
      await this.pulse();
      if (!this.trusted) await this.recover();
    } catch (error) {
      this.distrust(error);
    }
    this.schedule(this.trusted ? pulseEveryMs : probeEveryMs);
  }

  private async pulse(): Promise<void> {
    const values = [this.node, nodeLivesMs, newId('mark')];
    const answer = await callScript(this.redis, pulseScript, pulseKeys, values, this.deadlineMs);
    const [nodes, mark] = answer as [number, string];
    this.nodes = nodes;
    if (this.mark !== undefined && this.mark !== mark) {
      this.memory += 1;
      this.log.warn({}, 'Redis was emptied: it is told what still counts, as requests come');
    }
    this.mark = mark;
  }

  private async recover(): Promise<void> {
    this.goodProbes += 1;
    if (this.goodProbes < goodProbesNeeded) return;
    await this.learn();
    await this.settle();
    this.trusted = true;
    this.goodProbes = 0;
    this.log.warn({ decidedLocally: this.localInEpisode }, 'Redis is back: it decides limits again');
  }

  private async learn(): Promise<void> {
    const info = await this.redis.ask((redis) => redis.info(), learnWithinMs);
    this.isCluster = info.includes('cluster_enabled:1');
    const runId = /^run_id:(\w+)/m.exec(info)?.[1];
    if (this.runId !== undefined && this.runId !== runId) this.memory += 1;
    this.runId = runId;
  }
}
