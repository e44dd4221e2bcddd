import { Injectable } from '@nestjs/common';
import { Clock } from '../../platform/config';
import { RedisUnavailable } from '../../platform/redis';
import type { Caller } from '../auth/caller';
import { PolicyRefusal } from '../errors/policy-refusal';
import { Routes } from '../routes';
import { tenantOf } from '../tenancy/tenant-claim';
import { AppTally } from './app-tally';
import type { LimitKey } from './limit-keys';
import { LimitKeys } from './limit-keys';
import { type Limit, type LimitReport, ruleOf } from './limits';
import { LimitStore } from './limit-store';
import { PlanSource } from './plan-source';
import { lastWordOf } from './route-rules';
import type { AppUsageQuery, AppUsagesView, LimitUsageView, UsageView } from './usage.dto';
import { limitOfTier, limitsOfPlan } from './usage-plans';

/** Who used how much. */
@Injectable()
export class UsageService {
  constructor(
    private readonly routes: Routes,
    private readonly store: LimitStore,
    private readonly keys: LimitKeys,
    private readonly plans: PlanSource,
    private readonly tally: AppTally,
    private readonly clock: Clock,
  ) {}

  /** What the caller's app has used of its plan, and of each method's tier in the caller's tenant; takes nothing itself. */
  async ofCaller(caller: Caller): Promise<UsageView> {
    const plan = this.plans.planOf(caller.clientId, caller.usagePlan);
    const app = this.keys.of(caller.clientId);
    const limits: Limit[] = [limitsOfPlan[plan]];
    const keys: LimitKey[] = [app.plan];
    const seen = new Set<string>();
    for (const { path, tier, tenant: kind } of this.routes.all()) {
      const tenant = kind && tenantOf(caller, kind);
      if (tier === undefined || tenant === undefined || seen.has(path)) continue;
      seen.add(path);
      limits.push(limitOfTier(tier, lastWordOf(path)));
      keys.push(app.window(tenant, path));
    }
    const { reports } = await this.store.decide(ruleOf(limits), keys, 0);
    const now = this.clock.now();
    return { clientId: caller.clientId, plan, limits: reports.map((report) => usageOf(report, now)) };
  }

  /** The busiest apps of an hour. @throws PolicyRefusal 503 while Redis is away */
  async ofApps({ by, hour, limit }: AppUsageQuery): Promise<AppUsagesView> {
    const hoursAgo = hour === 'this' ? 0 : 1;
    try {
      const apps = await this.tally.top(by, hoursAgo, limit);
      const data = apps.map((app) => ({ ...app, plan: this.plans.planOf(app.clientId, undefined) }));
      return { since: new Date(this.tally.beginOf(hoursAgo)).toISOString(), data };
    } catch (error) {
      if (error instanceof RedisUnavailable) throw countsAway;
      throw error;
    }
  }
}

const text = 'An unexpected error occurred';
const countsAway = new PolicyRefusal(503, 'counts_unavailable', text, text, { headers: { 'Retry-After': '1' } });

function usageOf({ subject, remaining, resetMs }: LimitReport, now: number): LimitUsageView {
  const { name, quota, windowSeconds } = subject;
  const resetsAt = new Date(now + resetMs).toISOString();
  return { name, quota, windowSeconds, used: quota - remaining, remaining, resetsAt };
}
