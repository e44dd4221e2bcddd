import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import type { GateRequest } from '../request-state';
import { RouteTable } from '../route-table';
import type { RoutePolicies } from '../routes';
import type { Problem } from './problem';
import { RefusalRecord } from './refusal-record';

/** A refusal whose entry takes longer is sent before it; the entry stays where it waits, or is counted as lost. */
const mostWaitMs = 5_000;

/** Answers with what was refused, wherever it comes from: the one place that every refusal passes on its way out. */
@Injectable()
export class Problems {
  constructor(
    private readonly record: RefusalRecord,
    private readonly table: RouteTable,
  ) {}

  /** @param error what was thrown, where it says more than the client is told */
  send(request: GateRequest, response: Response, problem: Problem, error?: unknown): void {
    // What refuses before routing speaks as the route would have.
    const route = request.gate.route ?? this.table.routeOf(request.method, request.originalUrl);
    const isRefusal = problem.status === 401 || problem.status === 403;
    const recorded = isRefusal ? this.record.refused(request, problem, error) : undefined;
    if (!recorded) {
      send(request, response, problem, route);
      return;
    }
    let late: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => (late = setTimeout(resolve, mostWaitMs)));
    void Promise.race([recorded, limit]).then(() => {
      clearTimeout(late);
      send(request, response, problem, route);
    });
  }
}

/** Writes a refusal in the shape of its route, which is a problem document unless it says otherwise. */
export function send(
  request: GateRequest,
  response: Response,
  problem: Problem,
  route: RoutePolicies | undefined,
): void {
  const shape = route?.errorShape;
  response.statusCode = shape ? shape.statusOf(problem.status) : problem.status;
  // A header such as `WWW-Authenticate` belongs to the status that it explains.
  if (response.statusCode === problem.status) {
    for (const [name, value] of Object.entries(problem.headers)) response.setHeader(name, value);
  }
  response.setHeader('Content-Type', `application/${shape ? 'json' : 'problem+json'}; charset=utf-8`);
  response.setHeader('Cache-Control', 'no-store');
  const content = shape
    ? shape.bodyOf({ problem, neededScopes: route.scopes ?? [], caller: request.gate.caller })
    : documentOf(request, response, problem);
  const body = JSON.stringify(content);
  response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(request.method === 'HEAD' ? undefined : body);
}

function documentOf({ originalUrl }: GateRequest, response: Response, problem: Problem): object {
  const { status, code, title, detail, members } = problem;
  return {
    type: `urn:gatehouse:problem:${code}`,
    title,
    status,
    detail,
    instance: originalUrl.split('?', 1)[0],
    error: title,
    code,
    correlationId: response.getHeader('X-Correlation-Id'),
    ...members,
  };
}
