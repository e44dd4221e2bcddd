import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Response } from 'express';
import { requestOf, responseOf, routeOf } from '../request-state';
import { insufficientRole, insufficientScope } from './refusals';

/** RFC 6749 §3.3 without the comma: what else an issuer puts into a scope, no list in a header carries. */
const scopeToken = /^[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]+$/;

/** Lets through who has one of the route's roles and one of its scopes; a route that names none is open to all callers. */
@Injectable()
export class RolesGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { caller } = requestOf(context).gate;
    const { roles, scopes, scopesTold } = routeOf(context);
    if (!caller) return true;
    // Here, before anything is refused that depends on them.
    if (scopesTold) tellScopes(responseOf(context), caller.scopes, scopes);
    if (roles && (caller.role === undefined || !roles.includes(caller.role))) throw insufficientRole(roles);
    if (scopes && !holdsAny(caller.scopes, scopes)) throw insufficientScope(scopes);
    return true;
  }
}

function tellScopes(response: Response, held: readonly string[], accepted: readonly string[] | undefined): void {
  response.setHeader('X-OAuth-Scopes', listed(held));
  if (accepted) response.setHeader('X-Accepted-OAuth-Scopes', listed(accepted));
}

/** The lists of callers, who are kept by the authoriser's cache, and of routes, as they stand in a header. */
const lists = new WeakMap<readonly string[], string>();

function listed(scopes: readonly string[]): string {
  const known = lists.get(scopes);
  if (known !== undefined) return known;
  const list = scopes.filter((scope) => scopeToken.test(scope)).join(',');
  lists.set(scopes, list);
  return list;
}

function holdsAny(held: readonly string[], anyOf: readonly string[]): boolean {
  for (const scope of anyOf) if (held.includes(scope)) return true;
  return false;
}
