import type { Caller } from '../auth/caller';
import type { TenantKind } from './tenancy.decorator';

const claimOf: Readonly<Record<TenantKind, (caller: Caller) => string | undefined>> = {
  practice: (caller) => caller.practiceId,
  workspace: (caller) => caller.workspaceId,
  account: (caller) => caller.accountId,
};

/** The caller's tenant of a kind, as the token claims it; `undefined` where it names none. */
export function tenantOf(caller: Caller, kind: TenantKind): string | undefined {
  return claimOf[kind](caller);
}
