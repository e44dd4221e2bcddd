import { Reflector } from '@nestjs/core';

/** Whose data a route touches, named by the claim that holds the tenant. */
export type TenantKind = 'practice' | 'workspace' | 'account';

/** Binds a route to another tenant than the default, the practice. */
export const Tenant = Reflector.createDecorator<TenantKind>();

/** Lets a route run without a tenant: it sees no tenant's rows at all. The reason is printed in the census. */
export const CrossTenant = Reflector.createDecorator<string>();
