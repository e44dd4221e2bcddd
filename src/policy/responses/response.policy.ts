import { Injectable, StreamableFile } from '@nestjs/common';
import { Rendered } from '../../platform/http';
import { Log } from '../../platform/telemetry';
import { problemOf } from '../errors/problem';
import { Problems } from '../errors/problems';
import type { AroundPolicy, Passage } from '../pipeline/around';
import { pickerOf } from './view';

/** Turns what a handler returns into bytes, through the allow-list of its route: what nobody listed never leaves. */
@Injectable()
export class ResponsePolicy implements AroundPolicy {
  constructor(
    private readonly problems: Problems,
    private readonly log: Log,
  ) {}

  async around(passage: Passage, next: () => Promise<unknown>): Promise<unknown> {
    const result = await next();
    const { route, response } = passage;
    const { answer } = route;
    if (result instanceof StreamableFile && answer?.stream !== undefined) return this.guarded(result, passage);
    if (result instanceof Rendered || response.headersSent) return result;
    if (!answer) throw new Error(`${route.name} has no @Responds: nothing is listed that may leave`);
    if (answer.stream !== undefined) throw new Error(`${route.name} streams, and its handler gave no StreamableFile`);
    if (!answer.view) return new Rendered(answer.status, undefined);
    return new Rendered(answer.status, JSON.stringify(pickerOf(answer.view)(result)));
  }

  /** A stream that breaks says so: by a problem document while nothing is out, else by breaking the connection. */
  private guarded(stream: StreamableFile, { request, response }: Passage): StreamableFile {
    return stream.setErrorHandler((error) => {
      if (response.destroyed) return;
      const problem = problemOf(error);
      this.log.error({ err: error, code: problem.code }, 'A streamed answer failed');
      if (response.headersSent) {
        response.destroy();
        return;
      }
      response.removeHeader('Content-Disposition');
      this.problems.send(request, response, problem);
    });
  }
}
