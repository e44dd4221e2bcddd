import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { requestOf } from '../request-state';

export const roles = [
  'scheduling_agent',
  'provider',
  'practice_admin',
  'security_officer',
  'editor',
  'rider',
  'driver',
  'operator',
] as const;
export type Role = (typeof roles)[number];

/** The verified identity behind a request: the claims of its token, under our names. */
export interface Caller {
  /** Claim `sub`. */
  readonly userId: string;
  /** The app: claim `client_id`, else `sub`. */
  readonly clientId: string;
  readonly practiceId: string | undefined;
  readonly workspaceId: string | undefined;
  /** Claim `account_id`, else `practice_id`. */
  readonly accountId: string | undefined;
  readonly role: Role | undefined;
  /** Claim `scope`, split at spaces. */
  readonly scopes: readonly string[];
  /** Content plan; `standard` unless claimed. */
  readonly plan: string;
  /** Usage plan claimed by the issuer, if it claims one. */
  readonly usagePlan: string | undefined;
  /** `us-east-1` unless claimed. */
  readonly region: string;
  readonly deviceId: string | undefined;
  /** Claim `jti`. */
  readonly tokenId: string | undefined;
  /** Epoch seconds, claim `iat`. */
  readonly issuedAt: number | undefined;
  /** Epoch seconds, claim `exp`. */
  readonly expiresAt: number;
}

/** Gives a handler the caller; on a `@Public` route there is none, and asking is a mistake in the program. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const { caller } = requestOf(context).gate;
  if (!caller) throw new Error('A public route has no caller');
  return caller;
});

/** The caller's workspace, on a route that is bound to one; elsewhere asking is a mistake in the program. */
export function workspaceOf({ workspaceId }: Caller): string {
  if (workspaceId === undefined) throw new Error('A route that is not bound to a workspace asked for one');
  return workspaceId;
}

/** The caller's practice, on a route that is bound to one; elsewhere asking is a mistake in the program. */
export function practiceOf({ practiceId }: Caller): string {
  if (practiceId === undefined) throw new Error('A route that is not bound to a practice asked for one');
  return practiceId;
}
