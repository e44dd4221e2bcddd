import { type CallHandler, type ExecutionContext, Inject, Injectable, type NestInterceptor } from '@nestjs/common';
import type { Response } from 'express';
import { from, lastValueFrom, type Observable } from 'rxjs';
import { type GateRequest, requestOf, responseOf, routeOf } from '../request-state';
import type { RoutePolicies } from '../routes';

/** One request on its way through the policies that surround the handler. */
export interface Passage {
  readonly request: GateRequest;
  readonly response: Response;
  readonly route: RoutePolicies;
}

/** A policy that acts before and after the handler. */
export interface AroundPolicy {
  around(passage: Passage, next: () => Promise<unknown>): Promise<unknown>;
}

export const AROUND_POLICIES = Symbol('around policies');

/**
 * Runs the around policies in the order of their list, as promises in a single interceptor: each interceptor of Nest's
 * own costs three observables and an async resource a request.
 */
@Injectable()
export class AroundInterceptor implements NestInterceptor {
  constructor(@Inject(AROUND_POLICIES) private readonly policies: readonly AroundPolicy[]) {}

  intercept(context: ExecutionContext, handler: CallHandler): Observable<unknown> {
    const passage = { request: requestOf(context), response: responseOf(context), route: routeOf(context) };
    const run = (index: number): Promise<unknown> => {
      const policy = this.policies[index];
      return policy
        ? policy.around(passage, () => run(index + 1))
        : lastValueFrom(handler.handle(), { defaultValue: undefined });
    };
    return from(run(0));
  }
}
