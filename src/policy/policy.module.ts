import { type DynamicModule, type INestApplication, Module, type NestMiddleware, type Provider } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, DiscoveryModule } from '@nestjs/core';
import type { NextFunction, Response } from 'express';
import type { Config } from '../platform/config';
import { ConcurrencyPolicy } from './concurrency/concurrency.policy';
import { AccessLogMiddleware } from './context/access-log.middleware';
import { ContextMiddleware } from './context/context.middleware';
import { Draining } from './context/draining';
import { DeadlinePolicy } from './deadline/deadline.policy';
import { ProblemFilter } from './errors/problem.filter';
import { IdempotencyPolicy } from './idempotency/idempotency.policy';
import { IdempotencyStore } from './idempotency/idempotency.store';
import { AROUND_POLICIES, AroundInterceptor, type AroundPolicy } from './pipeline/around';
import { ResponsePolicy } from './responses/response.policy';
import type { GateRequest } from './request-state';
import { RouteGuard } from './route.guard';
import { Routes } from './routes';
import { TenancyGuard } from './tenancy/tenancy.guard';
import { ValidationGuard } from './validation/validation.guard';

const before = [ContextMiddleware, AccessLogMiddleware];
const guards = [RouteGuard, TenancyGuard, ValidationGuard];
const around = [ConcurrencyPolicy, DeadlinePolicy, IdempotencyPolicy, ResponsePolicy];

const pipeline: Provider[] = [
  ...guards.map((useClass) => ({ provide: APP_GUARD, useClass })),
  ...around,
  { provide: AROUND_POLICIES, inject: around, useFactory: (...policies: AroundPolicy[]) => policies },
  { provide: APP_INTERCEPTOR, useClass: AroundInterceptor },
  { provide: APP_FILTER, useClass: ProblemFilter },
];

@Module({})
export class PolicyModule {
  static register(_config: Config): DynamicModule {
    return {
      module: PolicyModule,
      imports: [DiscoveryModule],
      providers: [...before, ...pipeline, Routes, Draining, IdempotencyStore],
    };
  }
}

/**
 * Mounts the policies that stand before routing. Not through Nest's consumer: that matches a path pattern first, and a path
 * that cannot be decoded would pass none of them.
 */
export function mountGate(app: INestApplication): void {
  for (const policy of before) {
    const middleware = app.get<NestMiddleware<GateRequest, Response>>(policy);
    app.use((request: GateRequest, response: Response, next: NextFunction): void => {
      middleware.use(request, response, next);
    });
  }
}
