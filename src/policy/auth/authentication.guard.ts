import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { requestOf, type RequestState, routeOf } from '../request-state';
import { AuthoriserCache } from './authoriser-cache';
import { bearerToken, isCompactJws, tokenOf } from './bearer';
import type { Caller } from './caller';
import { malformedToken } from './refusals';

/** Tells the policies behind it who calls. A kept identity is found at once, without a promise. */
@Injectable()
export class AuthenticationGuard implements CanActivate {
  constructor(private readonly authoriser: AuthoriserCache) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const { public: openBecause, tokenField } = routeOf(context);
    if (openBecause !== undefined) return true;
    const request = requestOf(context);
    const token = tokenField === undefined ? bearerToken(request) : tokenOf(request, tokenField);
    const caller = this.authoriser.recall(token);
    if (caller === undefined) return this.verify(token, request.gate);
    enter(request.gate, caller);
    return true;
  }

  private async verify(token: string, gate: RequestState): Promise<boolean> {
    if (!isCompactJws(token)) throw malformedToken;
    enter(gate, await this.authoriser.verify(token));
    return true;
  }
}

function enter(gate: RequestState, caller: Caller): void {
  gate.caller = caller;
  gate.work.actor = caller.userId;
}
