import { type CanActivate, type ExecutionContext, Injectable, type Type } from '@nestjs/common';
import { requestOf, routeOf } from '../request-state';
import { type Source, validatorOf } from './validator';

/** The query of a route that asks for none: whoever sends one is told, as everywhere, that it is not known here. */
class NoQuery {}

/**
 * Checks body, query and path against the DTOs that the handler asks for. A guard, not a pipe: pipes run inside the
 * interceptors, where the idempotency policy has a transaction open already.
 */
@Injectable()
export class ValidationGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { inputs, body } = routeOf(context);
    const request = requestOf(context);
    if (inputs.params) check(inputs.params, request.params, 'path');
    if (inputs.query || request.url.includes('?')) {
      // Express parses the query anew at each access; the checked and converted one must be what the handler gets.
      const query = { ...request.query };
      check(inputs.query ?? NoQuery, query, 'query');
      Object.defineProperty(request, 'query', { value: query });
    }
    if (inputs.body) check(inputs.body, request.body, body.kind === 'json-or-form' ? 'arguments' : 'body');
    return true;
  }
}

function check(dto: Type, input: unknown, source: Source): void {
  validatorOf(dto, source)(input);
}
