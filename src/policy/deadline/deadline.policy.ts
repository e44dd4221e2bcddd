import { Injectable } from '@nestjs/common';
import { performance } from 'node:perf_hooks';
import { Config } from '../../platform/config';
import { PolicyRefusal } from '../errors/policy-refusal';
import type { AroundPolicy, Passage } from '../pipeline/around';

/** Ends a request that would pass the deadline with 504 and cancels the statement it waits for. */
@Injectable()
export class DeadlinePolicy implements AroundPolicy {
  private readonly deadlineMs: number;

  constructor(config: Config) {
    this.deadlineMs = config.get('DEADLINE_MS');
  }

  around({ request }: Passage, next: () => Promise<unknown>): Promise<unknown> {
    // The deadline is the request's, not the handler's: what its body and the guards took is gone.
    const remainingMs = Math.max(0, this.deadlineMs - (performance.now() - request.gate.startedAt));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const { work } = request.gate;
        work.expired = true;
        work.cancelStatement?.();
        reject(
          new PolicyRefusal(504, 'deadline_exceeded', 'An unexpected error occurred', 'An unexpected error occurred'),
        );
      }, remainingMs);
      next().then(
        (result) => {
          clearTimeout(timer);
          resolve(result);
        },
        (error: unknown) => {
          clearTimeout(timer);
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }
}
