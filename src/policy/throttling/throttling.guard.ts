import { type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import {
  getOptionsToken,
  getStorageToken,
  ThrottlerGuard,
  type ThrottlerModuleOptions,
  type ThrottlerStorage,
} from '@nestjs/throttler';
import type { Response } from 'express';
import { Clock } from '../../platform/config';
import { PolicyRefusal } from '../errors/policy-refusal';
import { requestOf, responseOf, routeOf } from '../request-state';
import type { RoutePolicies } from '../routes';
import { DecisionRecord } from './decision-record';
import { type LimitKey, LimitKeys } from './limit-keys';
import { type Decision, LimitStore } from './limit-store';
import { PlanSource } from './plan-source';
import { writeHeaders } from './rate-headers';
import { Refunds } from './refunds';
import { type RouteRule, RouteRules } from './route-rules';

/** One request before its decision. */
interface Asked {
  readonly route: RoutePolicies;
  readonly clientId: string;
  readonly rule: RouteRule;
  readonly keys: readonly LimitKey[];
  readonly response: Response;
}

const admitted = Promise.resolve(true);

/**
 * Holds a request against its route's tier and its app's usage plan, all in one decision, where the throttler's own guard
 * makes a call for each limit. Refuses with 429 what goes beyond; in shadow mode only counts it.
 */
@Injectable()
export class ThrottlingGuard extends ThrottlerGuard {
  protected override errorMessage = 'Rate limit exceeded';

  constructor(
    @Inject(getOptionsToken()) options: ThrottlerModuleOptions,
    @Inject(getStorageToken()) storage: ThrottlerStorage,
    reflector: Reflector,
    private readonly store: LimitStore,
    private readonly keys: LimitKeys,
    private readonly rules: RouteRules,
    private readonly plans: PlanSource,
    private readonly refunds: Refunds,
    private readonly clock: Clock,
    private readonly record: DecisionRecord,
  ) {
    super(options, storage, reflector);
  }

  override canActivate(context: ExecutionContext): Promise<boolean> {
    const route = routeOf(context);
    const { caller, work } = requestOf(context).gate;
    // What is public is held by the firewall's limit of each address.
    if (caller === undefined || route.public !== undefined) return admitted;
    if (route.unmetered !== undefined && route.tier === undefined) return admitted;
    const rule = this.rules.of(route, this.plans.planOf(caller.clientId, caller.usagePlan));
    const app = this.keys.of(caller.clientId);
    const keys: LimitKey[] = [];
    // By path: what can be read by GET and by POST is one method with one limit.
    if (rule.hasTier) keys.push(app.window(work.tenant ?? '', route.path));
    if (rule.hasPlan) keys.push(app.plan);
    const asked = { route, clientId: caller.clientId, rule, keys, response: responseOf(context) };
    const decision = this.store.decide(rule.rule, keys, route.weight);
    return decision instanceof Promise
      ? decision.then((late) => this.conclude(asked, late))
      : this.conclude(asked, decision);
  }

  private conclude(asked: Asked, decision: Decision): Promise<boolean> {
    const { response, rule, keys, route } = asked;
    this.record.count(route, asked.clientId, decision);
    writeHeaders(response, rule.policy, decision.reports, this.clock.now());
    if (decision.allowed) {
      this.refunds.arrange(response, rule.rule, keys, route.weight, decision);
      return admitted;
    }
    if (this.record.enforces) throw this.refusal(decision);
    return admitted;
  }

  private refusal({ retryAfterMs }: Decision): PolicyRefusal {
    const retryAfter = Math.max(1, Math.ceil(retryAfterMs / 1000));
    return new PolicyRefusal(429, 'rate_limited', this.errorMessage, `Try again in ${retryAfter} s`, {
      headers: { 'Retry-After': String(retryAfter) },
      members: { retryAfter },
    });
  }
}
