import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Response } from 'express';
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { Config } from '../../platform/config';
import { Context, freshContext } from '../../platform/context';
import type { GateRequest } from '../request-state';
import { Draining } from './draining';

/** Answers of one connection that its client has not read. */
const maxUnreadBytes = 1_048_576;

const correlationPattern = /^[A-Za-z0-9_.-]{1,128}$/;
/** W3C Trace Context §3.2.2: there is no version `ff`, and ids of zeros alone are to be ignored. */
const traceparentPattern = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Names the request and enters its context. First of all policies, so that every answer and log line has the names. */
@Injectable()
export class ContextMiddleware implements NestMiddleware<GateRequest, Response> {
  private readonly trustedHops: number;

  constructor(
    config: Config,
    private readonly context: Context,
    private readonly draining: Draining,
  ) {
    this.trustedHops = config.get('TRUST_PROXY_HOPS');
  }

  use(request: GateRequest, response: Response, next: NextFunction): void {
    // A client that asks and never reads is cut off, or its unread answers would fill the memory.
    if (request.socket.writableLength > maxUnreadBytes) {
      request.socket.destroy();
      return;
    }
    const given = request.headers['x-correlation-id'];
    const trace = request.headers.traceparent;
    const requestId = randomUUID();
    const work = freshContext({
      correlationId: typeof given === 'string' && correlationPattern.test(given) ? given : requestId,
      requestId,
      traceparent: typeof trace === 'string' && traceparentPattern.test(trace) ? trace : undefined,
    });
    request.gate = {
      work,
      startedAt: performance.now(),
      ip: addressOf(request, this.trustedHops),
      route: undefined,
      caller: undefined,
      rawBody: undefined,
    };
    response.setHeader('X-Correlation-Id', work.correlationId);
    response.setHeader('X-Request-Id', requestId);
    if (this.draining.hasBegun) response.setHeader('Connection', 'close');
    this.context.run(work, next);
  }
}

/** The address that the outermost trusted proxy saw; a longer `X-Forwarded-For` is the client's own invention. */
function addressOf(request: GateRequest, trustedHops: number): string {
  const direct = request.socket.remoteAddress ?? '';
  if (trustedHops === 0) return direct;
  const forwarded = request.headers['x-forwarded-for'];
  if (typeof forwarded !== 'string') return direct;
  const hops = forwarded.split(',');
  return hops[Math.max(0, hops.length - trustedHops)]?.trim() ?? direct;
}
