import { type ArgumentsHost, Catch, type ExceptionFilter, NotFoundException } from '@nestjs/common';
import type { Response } from 'express';
import { Log } from '../../platform/telemetry';
import { RouteTable } from '../route-table';
import type { GateRequest } from '../request-state';
import { PolicyRefusal } from './policy-refusal';
import { type Problem, problemOf } from './problem';

/** Answers whatever was thrown as `application/problem+json`; a failure of ours is logged whole and told as nothing. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly log: Log,
    private readonly methods: RouteTable,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<GateRequest>();
    const response = http.getResponse<Response>();
    const problem = problemOf(this.unrouted(request, error) ?? error);
    if (problem.status >= 500) this.log.error({ err: error, code: problem.code }, 'A request failed');
    if (response.headersSent) {
      // Half an answer is out; only a broken connection tells the client that the rest will not come.
      response.destroy();
      return;
    }
    send(request, response, problem);
  }

  /** Express says 404 where the path exists and the method does not; the client is told which methods do. */
  private unrouted(request: GateRequest, error: unknown): PolicyRefusal | undefined {
    if (!(error instanceof NotFoundException) || request.gate.route) return undefined;
    const allowed = this.methods.methodsOf(request.originalUrl);
    if (!allowed) return undefined;
    const headers = { Allow: allowed.join(', ') };
    return new PolicyRefusal(405, 'method_not_allowed', 'Method Not Allowed', `Allowed: ${headers.Allow}`, { headers });
  }
}

/** Writes a problem document; used where no filter stands, too (middleware). */
export function send(request: GateRequest, response: Response, problem: Problem): void {
  const { status, code, title, detail, headers, members } = problem;
  const body = JSON.stringify({
    type: `urn:gatehouse:problem:${code}`,
    title,
    status,
    detail,
    instance: request.originalUrl.split('?', 1)[0],
    error: title,
    code,
    correlationId: response.getHeader('X-Correlation-Id'),
    ...members,
  });
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader('Content-Type', 'application/problem+json; charset=utf-8');
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(request.method === 'HEAD' ? undefined : body);
}
