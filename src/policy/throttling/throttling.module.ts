import { Module } from '@nestjs/common';
import { seconds, ThrottlerModule, type ThrottlerOptions } from '@nestjs/throttler';
import { SystemDatabaseModule } from '../../platform/database/system';
import { AppPlansStore } from './app-plans.store';
import { AppTally } from './app-tally';
import { DecisionRecord } from './decision-record';
import { LimitKeys } from './limit-keys';
import { LimitStore } from './limit-store';
import { LocalLimits } from './local-limits';
import { PlanSource } from './plan-source';
import { RedisWatch } from './redis-watch';
import { Refunds } from './refunds';
import { RouteRules } from './route-rules';
import { StoredPlans } from './stored-plans';
import { requestsPerMinuteOfTier } from './usage-plans';
import { UsagePlansController } from './usage-plans.controller';
import { UsagePlansService } from './usage-plans.service';

const throttlers: ThrottlerOptions[] = Object.entries(requestsPerMinuteOfTier).map(([tier, limit]) => ({
  name: `tier-${tier}`,
  limit,
  ttl: seconds(60),
}));

/** Everything that `ThrottlingGuard` needs; the guard itself stands in the pipeline's list. */
@Module({
  imports: [ThrottlerModule.forRoot({ throttlers, setHeaders: false }), SystemDatabaseModule],
  controllers: [UsagePlansController],
  providers: [
    AppTally,
    DecisionRecord,
    LimitKeys,
    LimitStore,
    LocalLimits,
    RedisWatch,
    Refunds,
    RouteRules,
    AppPlansStore,
    StoredPlans,
    { provide: PlanSource, useExisting: StoredPlans },
    UsagePlansService,
  ],
  exports: [AppTally, DecisionRecord, LimitKeys, LimitStore, Refunds, RouteRules, PlanSource],
})
export class ThrottlingModule {}
