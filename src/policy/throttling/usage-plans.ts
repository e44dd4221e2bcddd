import type { PlanLimit, WindowLimit } from './limits';
import type { Tier } from './throttling.decorators';

export const usagePlanNames = ['standard', 'enterprise', 'internal'] as const;
export type UsagePlanName = (typeof usagePlanNames)[number];

/** What an app may use of all API routes together. */
export interface UsagePlan {
  /** Requests at once, on top of nothing: the size of the token bucket. `undefined`: counted and not limited. */
  readonly burstRequests: number | undefined;
  readonly requestsPerSecond: number | undefined;
  /** Requests in one day of UTC. */
  readonly requestsPerDay: number | undefined;
}

/** The one table of the usage plans. */
export const usagePlans: Readonly<Record<UsagePlanName, UsagePlan>> = {
  standard: { burstRequests: 10, requestsPerSecond: 20, requestsPerDay: 10_000 },
  enterprise: { burstRequests: 100, requestsPerSecond: 200, requestsPerDay: 1_000_000 },
  internal: { burstRequests: undefined, requestsPerSecond: undefined, requestsPerDay: undefined },
};

/** The plan of an app for which neither the issuer nor the operator names one. */
export const defaultPlan: UsagePlanName = 'standard';

/** Requests a minute of each (app, workspace, method); Slack's tiers. */
export const requestsPerMinuteOfTier: Readonly<Record<Tier, number>> = { 1: 1, 2: 20, 3: 50, 4: 100 };

const minuteMs = 60_000;

export function isUsagePlan(name: string | undefined): name is UsagePlanName {
  return usagePlanNames.some((known) => known === name);
}

/** The limits of a plan; one object a plan, so that a changed plan is seen by identity. */
export const limitsOfPlan: Readonly<Record<UsagePlanName, PlanLimit>> = {
  standard: planLimit('standard'),
  enterprise: planLimit('enterprise'),
  internal: planLimit('internal'),
};

const limitsOfTiers = new Map<string, WindowLimit>();

/** The limit of a tier under the name that the headers give it: one object, whichever of a method's routes asks for it. */
export function limitOfTier(tier: Tier, policyName: string): WindowLimit {
  const known = limitsOfTiers.get(`${tier} ${policyName}`);
  if (known) return known;
  const limit = {
    kind: 'window',
    name: policyName,
    requests: requestsPerMinuteOfTier[tier],
    windowMs: minuteMs,
  } as const;
  limitsOfTiers.set(`${tier} ${policyName}`, limit);
  return limit;
}

function planLimit(name: UsagePlanName): PlanLimit {
  return { kind: 'plan', name, ...usagePlans[name] };
}
