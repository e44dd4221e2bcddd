import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import type { GateRequest } from '../request-state';
import type { Problem } from './problem';
import { RefusalRecord } from './refusal-record';

/** A refusal whose entry takes longer is sent before it; the entry stays where it waits, or is counted as lost. */
const mostWaitMs = 5_000;

/** Answers with problem documents, wherever they come from: the one place that every refusal passes on its way out. */
@Injectable()
export class Problems {
  constructor(private readonly record: RefusalRecord) {}

  /** @param error what was thrown, where it says more than the client is told */
  send(request: GateRequest, response: Response, problem: Problem, error?: unknown): void {
    const isRefusal = problem.status === 401 || problem.status === 403;
    const recorded = isRefusal ? this.record.refused(request, problem, error) : undefined;
    if (!recorded) {
      send(request, response, problem);
      return;
    }
    let late: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => (late = setTimeout(resolve, mostWaitMs)));
    void Promise.race([recorded, limit]).then(() => {
      clearTimeout(late);
      send(request, response, problem);
    });
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
