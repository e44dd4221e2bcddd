import { type DynamicModule, type INestApplication, Module, type NestMiddleware, type Provider } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, DiscoveryModule } from '@nestjs/core';
import type { NextFunction, Response } from 'express';
import { AuditModule } from '../platform/audit';
import type { Config } from '../platform/config';
import { SystemDatabaseModule } from '../platform/database/system';
import { AuditRecord } from './audit/audit-record';
import { AuditPolicy } from './audit/audit.policy';
import { OwnedKinds } from './audit/owned-kinds';
import { AuthModule } from './auth/auth.module';
import { AuthenticationGuard } from './auth/authentication.guard';
import { RolesGuard } from './auth/roles.guard';
import { BodyGuard } from './body/body.guard';
import { AdmissionMiddleware } from './concurrency/admission.middleware';
import { ConcurrencyPolicy } from './concurrency/concurrency.policy';
import { CriticalWork } from './concurrency/critical-work';
import { AccessLogMiddleware } from './context/access-log.middleware';
import { ContextMiddleware } from './context/context.middleware';
import { Draining } from './context/draining';
import { CorsMiddleware } from './cors/cors.middleware';
import { RouteTable } from './route-table';
import { OriginList } from './cors/origin-list';
import { DeadlinePolicy } from './deadline/deadline.policy';
import { ProblemFilter } from './errors/problem.filter';
import { Problems } from './errors/problems';
import { RefusalRecord } from './errors/refusal-record';
import { FirewallRecord } from './firewall/firewall-record';
import { FirewallMiddleware } from './firewall/firewall.middleware';
import { InjectionGuard } from './firewall/injection.guard';
import { IdempotencyPolicy } from './idempotency/idempotency.policy';
import { IdempotencyPurge } from './idempotency/idempotency.purge';
import { IdempotencyStore } from './idempotency/idempotency.store';
import { AROUND_POLICIES, AroundHandlers, type AroundPolicy } from './pipeline/around';
import type { GateRequest } from './request-state';
import { ResponsePolicy } from './responses/response.policy';
import { RouteGuard } from './route.guard';
import { Routes } from './routes';
import { TenancyGuard } from './tenancy/tenancy.guard';
import { ThrottlingGuard } from './throttling/throttling.guard';
import { ThrottlingModule } from './throttling/throttling.module';
import { UsageController } from './throttling/usage.controller';
import { UsageService } from './throttling/usage.service';
import { ValidationGuard } from './validation/validation.guard';

// Every request passes these three lists, top to bottom. What is cheap and refuses much stands first; what costs a
// database connection stands last.

/** Before routing: on every answer, whatever becomes of the request. */
const before = [ContextMiddleware, AccessLogMiddleware, FirewallMiddleware, AdmissionMiddleware, CorsMiddleware];

/** Before the handler, on a known route. */
const guards = [
  RouteGuard,
  BodyGuard,
  InjectionGuard,
  AuthenticationGuard,
  RolesGuard,
  TenancyGuard,
  ThrottlingGuard,
  ValidationGuard,
];

/** Around the handler, from the outermost to the innermost. */
const around = [DeadlinePolicy, ConcurrencyPolicy, IdempotencyPolicy, ResponsePolicy, AuditPolicy];

const pipeline: Provider[] = [
  ...before,
  ...guards.map((useClass) => ({ provide: APP_GUARD, useClass })),
  ...around,
  { provide: AROUND_POLICIES, inject: around, useFactory: (...policies: AroundPolicy[]) => policies },
  AroundHandlers,
  { provide: APP_FILTER, useClass: ProblemFilter },
];

/** What every request passes. */
@Module({})
export class PolicyModule {
  static async register(config: Config): Promise<DynamicModule> {
    return {
      module: PolicyModule,
      imports: [
        DiscoveryModule,
        SystemDatabaseModule,
        AuditModule,
        ThrottlingModule,
        await AuthModule.register(config),
      ],
      controllers: [UsageController],
      providers: [
        ...pipeline,
        Routes,
        Problems,
        OwnedKinds,
        AuditRecord,
        { provide: RefusalRecord, useExisting: AuditRecord },
        CriticalWork,
        Draining,
        FirewallRecord,
        OriginList,
        RouteTable,
        UsageService,
        IdempotencyStore,
        IdempotencyPurge,
      ],
    };
  }
}

/**
 * Mounts what no Nest enhancer can do: the policies before routing (Nest's own middleware matches a path pattern first, and
 * a path that cannot be decoded would pass none of them) and those around the handlers. Before `listen`.
 */
export function mountGate(app: INestApplication): void {
  for (const policy of before) {
    const middleware = app.get<NestMiddleware<GateRequest, Response>>(policy);
    app.use((request: GateRequest, response: Response, next: NextFunction): void => {
      middleware.use(request, response, next);
    });
  }
  app.get(AroundHandlers).wrapAll();
}
