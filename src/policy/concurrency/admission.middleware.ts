import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Response } from 'express';
import { performance } from 'node:perf_hooks';
import type { Counter } from 'prom-client';
import { Config } from '../../platform/config';
import { Context, type WorkClass } from '../../platform/context';
import { Metrics } from '../../platform/telemetry';
import { problemOf } from '../errors/problem';
import { send } from '../errors/problems';
import type { GateRequest } from '../request-state';
import { RouteTable } from '../route-table';
import { overloaded } from './concurrency.policy';
import { Fifo } from './fifo';

/** How long one turn of the event loop should take under load, in milliseconds: a critical request needs about six. */
const turnTargetMs = 2;
/**
 * Requests let in a turn: at least, so that all go on however busy the process is (and no more while critical work is under
 * way); at most; and to begin with.
 */
const quotaBounds = { least: 2, most: 256, first: 32 };
/** A request that waited longer is turned away: its client has better uses for the time. */
const mostWaitMs = 250;

interface Waiting {
  readonly request: GateRequest;
  readonly response: Response;
  readonly next: NextFunction;
}

/**
 * Keeps the turns of the event loop short, so that a critical request never stands behind hundreds of others that were read
 * in the same turn: those of the other classes are let in for a share of each turn, the smallest while critical work is under
 * way, and wait for the next one beyond it, bulk behind standard. Without a backlog nobody waits. A middleware, because it must act before anything is spent.
 */
@Injectable()
export class AdmissionMiddleware implements NestMiddleware<GateRequest, Response> {
  private readonly waiting = { standard: new Fifo<Waiting>(), bulk: new Fifo<Waiting>() };
  private readonly refused: Counter<'class'>;
  private readonly deadlineMs: number;
  /** Made once: an error's stack would cost more than all else of a refusal. */
  private readonly refusal = problemOf(overloaded());
  private turnIsOpen = false;
  private turnBegan = 0;
  private quota = quotaBounds.first;
  private admitted = 0;
  private criticalInWork = 0;

  constructor(
    private readonly table: RouteTable,
    private readonly context: Context,
    config: Config,
    metrics: Metrics,
  ) {
    this.deadlineMs = Math.min(mostWaitMs, config.get('DEADLINE_MS'));
    this.refused = metrics.counter('admission_refused_total', 'Requests that waited too long to be let in', ['class']);
    const depth = metrics.gauge('admission_waiting', 'Requests that wait to be let in', ['class']);
    Object.assign(depth, {
      collect: () => {
        for (const name of ['standard', 'bulk'] as const) depth.set({ class: name }, this.waiting[name].length);
      },
    });
  }

  use(request: GateRequest, response: Response, next: NextFunction): void {
    const workClass = this.classOf(request);
    if (workClass === 'critical') {
      this.criticalInWork += 1;
      response.once('close', this.endCritical);
      next();
      return;
    }
    if (!this.turnIsOpen) this.openTurn();
    if (this.admitted < this.share && this.waiting.standard.length === 0) {
      this.admitted += 1;
      next();
    } else {
      this.waiting[workClass].push({ request, response, next });
    }
  }

  private readonly endCritical = (): void => {
    this.criticalInWork -= 1;
  };

  /** How many a turn lets in now. */
  private get share(): number {
    return this.criticalInWork > 0 ? quotaBounds.least : this.quota;
  }

  private classOf({ method, url }: GateRequest): WorkClass {
    return this.table.routeOf(method, url)?.workClass ?? 'standard';
  }

  private openTurn(): void {
    this.turnIsOpen = true;
    this.turnBegan = performance.now();
    setImmediate(this.endTurn);
  }

  /** Behind all that was read in this turn: learns from its length how many requests the next one may let in. */
  private readonly endTurn = (): void => {
    const now = performance.now();
    if (this.criticalInWork === 0 && (this.admitted >= this.quota || this.waiting.standard.length > 0)) {
      this.adapt(now - this.turnBegan);
    }
    this.turnBegan = now;
    this.admitted = 0;
    while (this.admitted < this.share) {
      const next = this.waiting.standard.shift() ?? this.waiting.bulk.shift();
      if (!next) break;
      this.admitted += 1;
      this.admit(next);
    }
    if (this.admitted > 0) setImmediate(this.endTurn);
    else this.turnIsOpen = false;
  };

  private adapt(turnMs: number): void {
    const factor = Math.min(1.25, Math.max(0.5, turnTargetMs / Math.max(turnMs, 0.001)));
    this.quota = Math.min(quotaBounds.most, Math.max(quotaBounds.least, this.quota * factor));
  }

  private admit({ request, response, next }: Waiting): void {
    if (response.closed) return;
    const { gate } = request;
    if (performance.now() - gate.startedAt > this.deadlineMs) {
      this.refused.inc({ class: this.classOf(request) });
      send(request, response, this.refusal, this.table.routeOf(request.method, request.originalUrl));
    } else {
      this.context.run(gate.work, next);
    }
  }
}
