import type { UsagePlanName } from './usage-plans';
import { defaultPlan, isUsagePlan } from './usage-plans';

/** Where the operator's choice of plan for an app is found. Port: the guard asks on every request, so it answers from memory. */
export abstract class PlanSource {
  /** The plan stored for an app; `undefined` where none is. */
  abstract stored(clientId: string): UsagePlanName | undefined;

  /** The plan in force: what the issuer claims, if it is one of ours, else what is stored, else the default. */
  planOf(clientId: string, claimed: string | undefined): UsagePlanName {
    return isUsagePlan(claimed) ? claimed : (this.stored(clientId) ?? defaultPlan);
  }
}
