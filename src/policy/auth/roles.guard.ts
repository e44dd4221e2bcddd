import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { requestOf, routeOf } from '../request-state';
import { insufficientRole, insufficientScope } from './refusals';

/** Lets through who has one of the route's roles and one of its scopes; a route that names none is open to all callers. */
@Injectable()
export class RolesGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { caller } = requestOf(context).gate;
    const { roles, scopes } = routeOf(context);
    if (!caller) return true;
    if (roles && (caller.role === undefined || !roles.includes(caller.role))) throw insufficientRole;
    if (scopes && !holdsAny(caller.scopes, scopes)) throw insufficientScope(scopes);
    return true;
  }
}

function holdsAny(held: readonly string[], anyOf: readonly string[]): boolean {
  for (const scope of anyOf) if (held.includes(scope)) return true;
  return false;
}
