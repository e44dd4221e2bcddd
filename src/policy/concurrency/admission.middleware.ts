import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Response } from 'express';
import { performance } from 'node:perf_hooks';
import type { Counter } from 'prom-client';
import { Config } from '../../platform/config';
import { Context, type WorkClass } from '../../platform/context';
import { onceEnded } from '../../platform/http';
import { Metrics } from '../../platform/telemetry';
import { problemOf } from '../errors/problem';
import { send } from '../errors/problems';
import type { GateRequest } from '../request-state';
import { RouteTable } from '../route-table';
import { overloaded } from './concurrency.policy';
import { CriticalWork } from './critical-work';
import { Fifo } from './fifo';

/** How long one turn of the event loop should take under load, in milliseconds: a critical request needs about six. */
const turnTargetMs = 2;
/**
 * Requests let in a turn: at least, so that all go on however busy the process is (and no more while critical work is under
 * way); at most; and to begin with.
 */
const quotaBounds = { least: 2, most: 256, first: 32 };
/**
 * Requests of the other classes in work beside critical work: enough to keep Postgres busy, few enough that a statement of a
 * critical request, and its audit entry, do not wait for many of theirs.
 */
const mostBesideCritical = 8;
/**
 * One is let in after so long whatever is in work, in milliseconds: eight that read slowly, or wait for somebody, keep nobody
 * out.
 */
const longestPauseMs = 20;
/** Beyond, a request is turned away at once: each holds what it has sent. */
const mostWaiting = 4_096;
/**
 * A request that waited longer is turned away. Sooner would be no kindness: a client that is refused comes back at once, and
 * refusing thousands a second costs more than letting them wait.
 */
const mostWaitMs = 1_000;
/** Refusals in a turn: they are cheap, and would be a long turn all the same if hundreds came at once. */
const mostRefusedInTurn = 8;

interface Waiting {
  readonly request: GateRequest;
  readonly response: Response;
  readonly next: NextFunction;
}

/** Whether its client has left: a response behind another one of its connection does not close with it. */
const hasGone = ({ request, response }: Waiting) => response.closed || request.socket.destroyed;

/**
 * Keeps the turns of the event loop short, so that a critical request never stands behind hundreds of others that were read
 * in the same turn: those of the other classes are let in for a share of each turn, the smallest while critical work is under
 * way, and wait for the next one beyond it, bulk behind standard. Without a backlog nobody waits. A middleware, because it must
 * act before anything is spent.
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
  private lookAgain: NodeJS.Timeout | undefined;
  private inWork = 0;
  private lastEntryAt = -Infinity;

  constructor(
    private readonly table: RouteTable,
    private readonly context: Context,
    private readonly critical: CriticalWork,
    config: Config,
    metrics: Metrics,
  ) {
    this.deadlineMs = Math.min(mostWaitMs, config.get('DEADLINE_MS'));
    critical.onEnd(this.goOn);
    this.refused = metrics.counter(
      'admission_refused_total',
      'Requests that waited too long to be let in, or came when too many waited',
      ['class'],
    );
    const inWorkHelp = 'Requests of the standard and bulk classes that were let in and have not ended';
    metrics.gauge('admission_in_work', inWorkHelp, [], () => this.inWork);
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
      next();
      return;
    }
    if (!this.turnIsOpen) this.openTurn();
    const waitingCount = this.waiting.standard.length + this.waiting.bulk.length;
    if (waitingCount >= mostWaiting) this.refuse(workClass, { request, response });
    else if (waitingCount === 0 && this.hasRoom) {
      this.enter(response);
      next();
    } else {
      this.waiting[workClass].push({ request, response, next });
    }
  }

  private enter(response: Response): void {
    this.admitted += 1;
    this.inWork += 1;
    this.lastEntryAt = performance.now();
    onceEnded(response, this.endOne);
  }

  private readonly endOne = (): void => {
    this.inWork -= 1;
    this.goOn();
  };

  /** Lets in at once who waited for others to end. */
  private readonly goOn = (): void => {
    if (!this.lookAgain || !this.hasRoom) return;
    clearTimeout(this.lookAgain);
    this.lookAgain = undefined;
    setImmediate(this.endTurn);
  };

  /** Whether this turn lets one more in. */
  private get hasRoom(): boolean {
    if (!this.critical.isNear) return this.admitted < this.quota;
    if (this.admitted >= quotaBounds.least) return false;
    return this.inWork < mostBesideCritical || performance.now() - this.lastEntryAt >= longestPauseMs;
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
    this.lookAgain = undefined;
    const someWait = this.someWait;
    if (!this.critical.isNear && (this.admitted >= this.quota || someWait)) this.adapt(now - this.turnBegan);
    this.turnBegan = now;
    this.admitted = 0;
    const refused = this.refuseLate();
    // Where more are late than one turn refuses, those first in line are late as well.
    while (this.hasRoom && refused < mostRefusedInTurn) {
      const next = this.waiting.standard.shift() ?? this.waiting.bulk.shift();
      if (!next) break;
      if (hasGone(next)) continue;
      this.enter(next.response);
      this.context.run(next.request.gate.work, next.next);
    }
    if (this.admitted > 0 || refused > 0) setImmediate(this.endTurn);
    else if (this.someWait) this.lookAgain = setTimeout(this.endTurn, longestPauseMs);
    else this.turnIsOpen = false;
  };

  /** Turns away who waited too long, those first who waited longest. */
  private refuseLate(): number {
    const latest = performance.now() - this.deadlineMs;
    let count = 0;
    for (const name of ['standard', 'bulk'] as const) {
      const line = this.waiting[name];
      for (let first = line.first; first && count < mostRefusedInTurn; first = line.first) {
        if (!hasGone(first) && first.request.gate.startedAt > latest) break;
        line.shift();
        if (hasGone(first)) continue;
        count += 1;
        this.refuse(name, first);
      }
    }
    return count;
  }

  private refuse(workClass: 'standard' | 'bulk', { request, response }: Omit<Waiting, 'next'>): void {
    this.refused.inc({ class: workClass });
    send(request, response, this.refusal, this.table.routeOf(request.method, request.originalUrl));
  }

  private get someWait(): boolean {
    return this.waiting.standard.length > 0 || this.waiting.bulk.length > 0;
  }

  private adapt(turnMs: number): void {
    const factor = Math.min(1.25, Math.max(0.5, turnTargetMs / Math.max(turnMs, 0.001)));
    this.quota = Math.min(quotaBounds.most, Math.max(quotaBounds.least, this.quota * factor));
  }
}
