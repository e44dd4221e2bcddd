import { type ArgumentsHost, Catch, type ExceptionFilter, NotFoundException } from '@nestjs/common';
import type { Response } from 'express';
import { Log } from '../../platform/telemetry';
import { RouteTable } from '../route-table';
import type { GateRequest } from '../request-state';
import { PolicyRefusal } from './policy-refusal';
import { overloadedCode, problemOf } from './problem';
import { Problems } from './problems';

/** Answers whatever was thrown as `application/problem+json`; a failure of ours is logged whole and told as nothing. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly log: Log,
    private readonly methods: RouteTable,
    private readonly problems: Problems,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<GateRequest>();
    const response = http.getResponse<Response>();
    const problem = problemOf(this.unrouted(request, error) ?? error);
    // Overload is no failure: the metrics count it, and thousands of lines of it would make it worse.
    if (problem.status >= 500 && problem.code !== overloadedCode)
      this.log.error({ err: error, code: problem.code }, 'A request failed');
    if (response.headersSent) {
      // Half an answer is out; only a broken connection tells the client that the rest will not come.
      response.destroy();
      return;
    }
    this.problems.send(request, response, problem, error);
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
