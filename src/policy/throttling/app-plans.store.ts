import { Injectable } from '@nestjs/common';
import { statement } from '../../platform/database';
import { SystemDatabase } from '../../platform/database/system';
import type { UsagePlanName } from './usage-plans';

/** The plan that an operator gave to an app. */
export interface AppPlan {
  readonly clientId: string;
  readonly plan: UsagePlanName;
  readonly changedAt: Date;
  readonly changedBy: string;
}

/** What a poll found, and from where the next one goes on. */
export interface PlanNews {
  readonly plans: readonly { readonly clientId: string; readonly plan: UsagePlanName }[];
  readonly horizon: string;
}

interface Row {
  readonly client_id: string;
  readonly plan: UsagePlanName;
  readonly changed_at: Date;
  readonly changed_by: string;
}

type NewsRow = { readonly horizon: string } & (
  { readonly client_id: string; readonly plan: UsagePlanName } | { readonly client_id: null }
);

/** The horizon is the oldest transaction that still ran: whatever a poll could not see yet belongs to it or a later one. */
const since = statement<NewsRow>(
  'throttling.plans-since',
  `SELECT horizon::text, p.client_id, p.plan
     FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon) AS snapshot
     LEFT JOIN app_plans AS p ON p.transaction_id >= $1::xid8`,
);
const put = statement<Row>(
  'throttling.put-plan',
  `INSERT INTO app_plans AS p (client_id, plan, changed_by) VALUES ($1, $2, $3)
   ON CONFLICT (client_id) DO UPDATE
     SET plan = excluded.plan, changed_by = excluded.changed_by, changed_at = now(), transaction_id = pg_current_xact_id()
   RETURNING client_id, plan, changed_at, changed_by`,
);
const page = statement<Row>(
  'throttling.list-plans',
  `SELECT client_id, plan, changed_at, changed_by FROM app_plans
    WHERE $1::text IS NULL OR client_id > $1 ORDER BY client_id LIMIT $2`,
);

/** The first horizon: all plans. */
export const wholePast = '0';

/** The plans of the apps in Postgres; they are of no tenant. */
@Injectable()
export class AppPlansStore {
  constructor(private readonly database: SystemDatabase) {}

  /** Every plan that a poll with `horizon` could not see; some that it saw come again. */
  async since(horizon: string): Promise<PlanNews> {
    const rows = await this.database.run((sql) => sql.query(since, [horizon]));
    return {
      horizon: rows[0]?.horizon ?? horizon,
      plans: rows.flatMap((row) => (row.client_id === null ? [] : [{ clientId: row.client_id, plan: row.plan }])),
    };
  }

  async put(clientId: string, plan: UsagePlanName, changedBy: string): Promise<AppPlan> {
    const [row] = await this.database.run((sql) => sql.query(put, [clientId, plan, changedBy]));
    if (!row) throw new Error('The plan was stored, and no row came back');
    return planOf(row);
  }

  /** The stored plans behind that app, by `clientId`. */
  async list(after: string | undefined, limit: number): Promise<AppPlan[]> {
    const rows = await this.database.run((sql) => sql.query(page, [after ?? null, limit]));
    return rows.map(planOf);
  }
}

function planOf({ client_id, plan, changed_at, changed_by }: Row): AppPlan {
  return { clientId: client_id, plan, changedAt: changed_at, changedBy: changed_by };
}
