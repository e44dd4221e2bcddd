import { Reflector } from '@nestjs/core';
import type { Role } from './caller';

/** Opens a route to callers without a token; the reason is printed in the census. */
export const Public = Reflector.createDecorator<string>();

/**
 * Lets a route's token come in this field of its parsed body, too (RFC 6750 §2.2, as the imitated API names it); a token in
 * both places must be the same one. The field is taken out before the body is validated.
 */
export const TokenField = Reflector.createDecorator<string>();

/** Who may call: any one of these roles. Without it, every role may. */
const RolesMetadata = Reflector.createDecorator<readonly Role[]>();
export const Roles = Object.assign((...allowed: Role[]) => RolesMetadata(allowed), { KEY: RolesMetadata.KEY });

/** What the token's `scope` must hold: any one of these. */
const ScopesMetadata = Reflector.createDecorator<readonly string[]>();
export const Scopes = Object.assign((...anyOf: string[]) => ScopesMetadata(anyOf), { KEY: ScopesMetadata.KEY });

const ScopesToldMetadata = Reflector.createDecorator<boolean>();

/**
 * Tells on every answer to a known caller, refusals too, what its token holds (`X-OAuth-Scopes`) and which scopes the route
 * takes (`X-Accepted-OAuth-Scopes`, where it names some), as Slack and GitHub do.
 */
export const ScopesTold = Object.assign(() => ScopesToldMetadata(true), { KEY: ScopesToldMetadata.KEY });
