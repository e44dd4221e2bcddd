import { Injectable, RequestMethod, type Type } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA, ROUTE_ARGS_METADATA, RouteParamtypes } from '@nestjs/common/internal';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { WorkClass } from '../platform/context';
import { type Audit, Audited } from './audit/audited.decorator';
import { Public, Roles, Scopes, ScopesTold, TokenField } from './auth/access.decorators';
import type { Role } from './auth/caller';
import { type BodyRules, TakesBody } from './body/body.decorator';
import { Reserved } from './concurrency/concurrency.decorator';
import { type ErrorShape, ErrorsAs } from './errors/error-shape';
import { Idempotent } from './idempotency/idempotency.decorator';
import { type Answer, Responds } from './responses/responds.decorator';
import { CrossTenant, Tenant, type TenantKind } from './tenancy/tenancy.decorator';
import { RateTier, type Tier, Unmetered, Weight } from './throttling/throttling.decorators';

/** Everything that the decorators of one route say, read once. */
export interface RoutePolicies {
  /** `GET /patients/:id` */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly controller: Type;
  readonly handler: (...values: never[]) => unknown;
  /** Why no token is needed; `undefined` where one is. */
  readonly public: string | undefined;
  readonly roles: readonly Role[] | undefined;
  readonly scopes: readonly string[] | undefined;
  /** Whether every answer says the caller's scopes and the route's. */
  readonly scopesTold: boolean;
  /** The claim that names the tenant; `undefined` for a public or cross-tenant route. */
  readonly tenant: TenantKind | undefined;
  /** The body's field in which the token may come instead of the header; `undefined` where it may not. */
  readonly tokenField: string | undefined;
  readonly crossTenant: string | undefined;
  readonly tier: Tier | undefined;
  readonly unmetered: string | undefined;
  readonly weight: number;
  readonly workClass: WorkClass;
  readonly idempotent: boolean;
  /** What the audit log is told; `undefined` where it hears of refusals alone. */
  readonly audited: Audit | undefined;
  readonly answer: Answer | undefined;
  /** How its refusals look; `undefined` for problem documents. */
  readonly errorShape: ErrorShape | undefined;
  readonly body: BodyRules;
  /** The DTOs of `@Body()`, `@Query()` and `@Param()`, where the handler asks for them whole. */
  readonly inputs: {
    readonly body: Type | undefined;
    readonly query: Type | undefined;
    readonly params: Type | undefined;
  };
}

interface RouteArgument {
  readonly index: number;
  readonly data?: unknown;
}

/** Walks all routes and their metadata: the one source of the guards, the census, the OpenAPI document and `explain`. */
@Injectable()
export class Routes {
  private readonly byHandler = new Map<unknown, RoutePolicies>();
  private readonly aliases = new Map<unknown, RoutePolicies>();

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
  ) {}

  /** The policies of a route handler. */
  of(handler: unknown): RoutePolicies {
    if (this.byHandler.size === 0) this.walk();
    const policies = this.aliases.get(handler) ?? this.byHandler.get(handler);
    if (!policies) throw new Error('A handler outside of the walked controllers was called');
    return policies;
  }

  /** Lets a handler that stands in for the route's own be asked for, too. */
  alias(handler: unknown, policies: RoutePolicies): void {
    this.aliases.set(handler, policies);
  }

  /** The routes of one controller. */
  ofController(controller: Type): RoutePolicies[] {
    return this.all().filter((route) => route.controller === controller);
  }

  /** All routes, sorted by path and method. */
  all(): RoutePolicies[] {
    if (this.byHandler.size === 0) this.walk();
    return [...this.byHandler.values()].sort(
      (a, b) => a.path.localeCompare(b.path) || a.method.localeCompare(b.method),
    );
  }

  private walk(): void {
    for (const { instance, metatype } of this.discovery.getControllers()) {
      if (!instance || typeof metatype !== 'function') continue;
      const controller = metatype as Type;
      const prototype = Object.getPrototypeOf(instance) as Record<string, unknown>;
      for (const property of this.scanner.getAllMethodNames(prototype)) {
        const handler = prototype[property] as RoutePolicies['handler'];
        if (Reflect.getMetadata(PATH_METADATA, handler) === undefined) continue;
        if (this.byHandler.has(handler)) throw new Error(`${controller.name}.${property} is the handler of two routes`);
        this.byHandler.set(handler, policiesOf(controller, property, handler));
      }
    }
  }
}

function policiesOf(controller: Type, property: string, handler: RoutePolicies['handler']): RoutePolicies {
  const read = <Value>(decorator: { KEY: string }): Value | undefined =>
    (Reflect.getMetadata(decorator.KEY, handler) ?? Reflect.getMetadata(decorator.KEY, controller)) as
      Value | undefined;
  const method = RequestMethod[Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod];
  const path = joined(Reflect.getMetadata(PATH_METADATA, controller), Reflect.getMetadata(PATH_METADATA, handler));
  const isPublic = read<string>(Public);
  const crossTenant = read<string>(CrossTenant);
  const inputs = inputsOf(controller, property);
  return {
    name: `${method} ${path}`,
    method,
    path,
    controller,
    handler,
    public: isPublic,
    roles: read(Roles),
    scopes: read(Scopes),
    scopesTold: read(ScopesTold) ?? false,
    tenant: isPublic !== undefined || crossTenant !== undefined ? undefined : (read<TenantKind>(Tenant) ?? 'practice'),
    crossTenant,
    tokenField: inputs.body && read(TokenField),
    tier: read(RateTier),
    unmetered: read(Unmetered),
    weight: read(Weight) ?? 1,
    workClass: read(Reserved) ?? 'standard',
    idempotent: read(Idempotent) ?? false,
    audited: read(Audited),
    answer: read(Responds),
    errorShape: read(ErrorsAs),
    body: read(TakesBody) ?? {},
    inputs,
  };
}

/** The classes of the whole inputs that a handler's parameters ask for. */
function inputsOf(controller: Type, property: string): RoutePolicies['inputs'] {
  const parameters = (Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, property) ?? {}) as Record<
    string,
    RouteArgument
  >;
  const types = (Reflect.getMetadata('design:paramtypes', controller.prototype as object, property) ?? []) as Type[];
  const whole = (kind: RouteParamtypes): Type | undefined => {
    const found = Object.entries(parameters).find(
      ([key, { data }]) => key.startsWith(`${kind}:`) && data === undefined,
    );
    return found && types[found[1].index];
  };
  return {
    body: whole(RouteParamtypes.BODY),
    query: whole(RouteParamtypes.QUERY),
    params: whole(RouteParamtypes.PARAM),
  };
}

function joined(...parts: unknown[]): string {
  const path = parts.map(String).join('/').replaceAll(/\/+/g, '/').replace(/\/$/, '');
  return path.startsWith('/') ? path : `/${path}`;
}
