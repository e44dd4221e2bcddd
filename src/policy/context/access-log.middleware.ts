import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Response } from 'express';
import { performance } from 'node:perf_hooks';
import type { Histogram } from 'prom-client';
import { onceEnded } from '../../platform/http';
import { Log, Metrics } from '../../platform/telemetry';
import type { GateRequest } from '../request-state';

type Labels = 'route' | 'status';
/** The status that nginx made customary for a client that left before the answer. */
const clientClosedRequest = 499;

/** One line and one measurement for each request. The line names the route's pattern, never the URL: that may hold PHI. */
@Injectable()
export class AccessLogMiddleware implements NestMiddleware<GateRequest, Response> {
  private readonly seconds: Histogram<Labels>;
  /** prom-client looks a labelled child up by a string it builds each time; this keeps them. */
  private readonly children = new Map<string, Map<number, Histogram.Internal<Labels>>>();

  constructor(
    private readonly log: Log,
    metrics: Metrics,
  ) {
    this.seconds = metrics.histogram('http_request_duration_seconds', 'Time from head to last byte', [
      'route',
      'status',
    ]);
  }

  use(request: GateRequest, response: Response, next: NextFunction): void {
    onceEnded(response, () => {
      const { gate } = request;
      const status = response.writableFinished ? response.statusCode : clientClosedRequest;
      const route = gate.route?.name ?? 'unmatched';
      const milliseconds = performance.now() - gate.startedAt;
      this.childOf(route, status).observe(milliseconds / 1000);
      this.log.access({
        correlationId: gate.work.correlationId,
        requestId: gate.work.requestId,
        method: request.method,
        route,
        status,
        durationMs: Math.round(milliseconds * 1000) / 1000,
        ip: gate.ip,
        actor: gate.caller?.userId,
        clientId: gate.caller?.clientId,
        tenant: gate.work.tenant,
      });
    });
    next();
  }

  private childOf(route: string, status: number): Histogram.Internal<Labels> {
    let byStatus = this.children.get(route);
    if (!byStatus) this.children.set(route, (byStatus = new Map<number, Histogram.Internal<Labels>>()));
    let child = byStatus.get(status);
    if (!child) byStatus.set(status, (child = this.seconds.labels(route, String(status))));
    return child;
  }
}
