import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Response } from 'express';
import { PolicyRefusal } from '../errors/policy-refusal';
import { problemOf } from '../errors/problem';
import { Problems } from '../errors/problems';
import type { GateRequest } from '../request-state';
import { RouteTable, notFound } from '../route-table';
import { OriginList } from './origin-list';
import { isOwnOrigin } from './own-origin';

const exposedHeaders = [
  'X-Correlation-Id',
  'X-Request-Id',
  'RateLimit',
  'RateLimit-Policy',
  'X-Rate-Limit-Limit',
  'X-Rate-Limit-Remaining',
  'X-Rate-Limit-Reset',
  'Retry-After',
  'Idempotent-Replayed',
  'ETag',
  'Link',
  'Location',
  'Deprecation',
  'Sunset',
  'WWW-Authenticate',
  'X-OAuth-Scopes',
  'X-Accepted-OAuth-Scopes',
].join(', ');

/** What a page may send besides the headers that every page may. */
const requestHeaders = [
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'X-Idempotency-Key',
  'X-Correlation-Id',
  'traceparent',
  'tracestate',
  'If-None-Match',
  'If-Modified-Since',
  'Last-Event-ID',
].join(', ');

const preflightVary = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers';
/** A browser asks again after a day; longer is cut short by all of them. */
const maxAgeSeconds = '86400';

/**
 * Cross-origin requests by the Fetch standard (§3.2), for an exact list of origins.
 *
 * - A preflight of an allowed origin is answered with what the path really has: its methods, whichever one was asked
 *   for, so that the browser can say which are missing. An unlisted origin gets 403, an unknown path 404, both without
 *   CORS headers. No token is asked for, and no limit but the address's is charged.
 * - A request of an unlisted origin that reads (GET, HEAD) is answered without CORS headers, as if it came from no page:
 *   the browser withholds the answer. One that could change something gets 403: without a preflight, hiding the answer
 *   would come too late.
 * - The application's own pages need not be listed; see `isOwnOrigin`.
 */
@Injectable()
export class CorsMiddleware implements NestMiddleware<GateRequest, Response> {
  constructor(
    private readonly origins: OriginList,
    private readonly methods: RouteTable,
    private readonly problems: Problems,
  ) {}

  use(request: GateRequest, response: Response, next: NextFunction): void {
    const { method } = request;
    const { origin } = request.headers;
    const isPreflight =
      method === 'OPTIONS' && origin !== undefined && request.headers['access-control-request-method'] !== undefined;
    if (isPreflight) {
      this.answerPreflight(request, response, origin);
      return;
    }
    if (!this.origins.isEmpty) response.setHeader('Vary', 'Origin');
    if (origin !== undefined) {
      if (this.origins.has(origin)) {
        response.setHeader('Access-Control-Allow-Origin', origin);
        response.setHeader('Access-Control-Expose-Headers', exposedHeaders);
      } else if (method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS' && !isOwnOrigin(origin, request)) {
        this.problems.send(request, response, problemOf(refusedOrigin));
        return;
      }
    }
    if (method === 'OPTIONS') this.answerOptions(request, response);
    else next();
  }

  private answerPreflight(request: GateRequest, response: Response, origin: string): void {
    response.setHeader('Vary', preflightVary);
    if (!this.origins.has(origin)) {
      this.problems.send(request, response, problemOf(refusedOrigin));
      return;
    }
    const methods = this.methods.methodsOf(request.url);
    if (!methods) {
      this.problems.send(request, response, problemOf(notFound()));
      return;
    }
    response.setHeader('Access-Control-Allow-Origin', origin);
    response.setHeader('Access-Control-Allow-Methods', methods.join(', '));
    response.setHeader('Access-Control-Allow-Headers', requestHeaders);
    response.setHeader('Access-Control-Max-Age', maxAgeSeconds);
    endEmpty(response);
  }

  /** RFC 9110 §9.3.7; `OPTIONS *` asks about the server as a whole. */
  private answerOptions(request: GateRequest, response: Response): void {
    const methods = this.methods.methodsOf(request.url);
    if (!methods && request.url !== '*') {
      this.problems.send(request, response, problemOf(notFound()));
      return;
    }
    if (methods) response.setHeader('Allow', methods.join(', '));
    endEmpty(response);
  }
}

function endEmpty(response: Response): void {
  response.statusCode = 204;
  response.end();
}

const refusedOrigin = new PolicyRefusal(403, 'origin_refused', 'Forbidden', 'Pages of this origin may not do this');
