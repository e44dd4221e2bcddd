import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { PolicyRefusal } from '../errors/policy-refusal';
import { requestOf, routeOf } from '../request-state';
import { tenantOf } from './tenant-claim';
import { isTenantName } from './tenant-name';

/** Puts the caller's tenant into the context, from where every transaction of the request takes it. */
@Injectable()
export class TenancyGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { gate } = requestOf(context);
    const { tenant } = routeOf(context);
    if (!gate.caller || tenant === undefined) return true;
    const claimed = tenantOf(gate.caller, tenant);
    if (claimed === undefined || !isTenantName(claimed)) {
      throw new PolicyRefusal(403, 'tenant_required', 'Forbidden', `The token names no ${tenant}`);
    }
    gate.work.tenant = claimed;
    return true;
  }
}
