import { Injectable } from '@nestjs/common';
import type { RoutePolicies } from '../routes';
import { type Limit, type Rule, ruleOf } from './limits';
import { policyHeader } from './rate-headers';
import { limitOfTier, limitsOfPlan, type UsagePlanName } from './usage-plans';

/** What a route asks of a caller with one plan. */
export interface RouteRule {
  readonly rule: Rule;
  /** The value of `RateLimit-Policy`. */
  readonly policy: string;
  /** Whether the first key is the tier's window. */
  readonly hasTier: boolean;
  /** Whether the last key is the plan's. */
  readonly hasPlan: boolean;
}

/** The rules of the routes, each prepared once for each plan. */
@Injectable()
export class RouteRules {
  private readonly rules = new Map<RoutePolicies, Partial<Record<UsagePlanName, RouteRule>>>();

  of(route: RoutePolicies, plan: UsagePlanName): RouteRule {
    let ofRoute = this.rules.get(route);
    if (!ofRoute) this.rules.set(route, (ofRoute = {}));
    return (ofRoute[plan] ??= routeRule(route, plan));
  }
}

function routeRule({ tier, unmetered, path }: RoutePolicies, plan: UsagePlanName): RouteRule {
  const limits: Limit[] = [];
  if (tier !== undefined) limits.push(limitOfTier(tier, lastWordOf(path)));
  if (unmetered === undefined) limits.push(limitsOfPlan[plan]);
  const rule = ruleOf(limits);
  return { rule, policy: policyHeader(rule), hasTier: tier !== undefined, hasPlan: unmetered === undefined };
}

/** `chat.postMessage` of `/api/chat.postMessage`: what clients call the method, and so its limit. */
export function lastWordOf(path: string): string {
  const words = path.split('/').filter((word) => word !== '' && !/^[:*{]/.test(word));
  return words.at(-1) ?? 'route';
}
