import { Injectable, StreamableFile } from '@nestjs/common';
import { Rendered } from '../../platform/http';
import type { AroundPolicy, Passage } from '../pipeline/around';
import { pickerOf } from './view';

/** Turns what a handler returns into bytes, through the allow-list of its route: what nobody listed never leaves. */
@Injectable()
export class ResponsePolicy implements AroundPolicy {
  async around({ route, response }: Passage, next: () => Promise<unknown>): Promise<unknown> {
    const result = await next();
    if (result instanceof Rendered || result instanceof StreamableFile || response.headersSent) return result;
    const { answer } = route;
    if (!answer) throw new Error(`${route.name} has no @Responds: nothing is listed that may leave`);
    if (!answer.view) return new Rendered(answer.status, undefined);
    return new Rendered(answer.status, JSON.stringify(pickerOf(answer.view)(result)));
  }
}
