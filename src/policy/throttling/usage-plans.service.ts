import { Injectable } from '@nestjs/common';
import { Log } from '../../platform/telemetry';
import type { Caller } from '../auth/caller';
import { keysOf, type Page, pageFrom, type PageQuery } from '../responses/page';
import { type AppPlan, AppPlansStore } from './app-plans.store';
import { StoredPlans } from './stored-plans';
import type { AppPlanView } from './usage-plans.dto';
import type { UsagePlanName } from './usage-plans';

/** What an operator does with usage plans. */
@Injectable()
export class UsagePlansService {
  constructor(
    private readonly store: AppPlansStore,
    private readonly plans: StoredPlans,
    private readonly log: Log,
  ) {}

  /** Gives an app another plan: at once on this node, on every other within a second. */
  async change(operator: Caller, clientId: string, plan: UsagePlanName): Promise<AppPlanView> {
    const changed = await this.store.put(clientId, plan, operator.userId);
    this.plans.take(clientId, plan);
    this.log.info({ clientId, plan, actor: operator.userId }, 'A usage plan was changed');
    return viewOf(changed);
  }

  /** The stored plans by `clientId`. @throws PolicyRefusal 400 for a cursor that none of our pages gave */
  async page({ limit, cursor }: PageQuery): Promise<Page<AppPlanView>> {
    const [after] = cursor === undefined ? [] : keysOf(cursor, 1);
    const { data, nextCursor } = pageFrom(await this.store.list(after, limit + 1), limit, (last) => [last.clientId]);
    return { data: data.map(viewOf), nextCursor };
  }
}

function viewOf({ changedAt, ...plan }: AppPlan): AppPlanView {
  return { ...plan, changedAt: changedAt.toISOString() };
}
