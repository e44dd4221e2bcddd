import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Caller } from '../auth/caller';
import { PolicyRefusal } from '../errors/policy-refusal';
import { requestOf, routeOf } from '../request-state';
import type { TenantKind } from './tenancy.decorator';
import { isTenantName } from './tenant-name';

const claimOf: Readonly<Record<TenantKind, (caller: Caller) => string | undefined>> = {
  practice: (caller) => caller.practiceId,
  workspace: (caller) => caller.workspaceId,
  account: (caller) => caller.accountId,
};

/** Puts the caller's tenant into the context, from where every transaction of the request takes it. */
@Injectable()
export class TenancyGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { gate } = requestOf(context);
    const { tenant } = routeOf(context);
    if (!gate.caller || tenant === undefined) return true;
    const claimed = claimOf[tenant](gate.caller);
    if (claimed === undefined || !isTenantName(claimed)) {
      throw new PolicyRefusal(403, 'tenant_required', 'Forbidden', `The token names no ${tenant}`);
    }
    gate.work.tenant = claimed;
    return true;
  }
}
