import { Injectable } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { Config } from '../../platform/config';
import { Metrics } from '../../platform/telemetry';
import type { RoutePolicies } from '../routes';
import { AppTally } from './app-tally';
import type { Decision } from './limit-store';

type Labels = 'route' | 'limit';

/** Counts what was decided: for the metrics by route and limit, for the operator by app. */
@Injectable()
export class DecisionRecord {
  /** False in shadow mode: what goes beyond is counted and served. */
  readonly enforces: boolean;
  private readonly beyond: Counter<Labels>;

  constructor(
    private readonly tally: AppTally,
    config: Config,
    metrics: Metrics,
  ) {
    this.enforces = config.get('THROTTLE_MODE') === 'enforce';
    const labels = ['route', 'limit'] as const;
    const limited = metrics.counter('rate_limited_requests_total', 'Requests refused with 429, by limit', labels);
    const shadowed = metrics.counter(
      'rate_limit_shadowed_requests_total',
      'Requests that THROTTLE_MODE=enforce would have refused, by limit',
      labels,
    );
    this.beyond = this.enforces ? limited : shadowed;
  }

  count(route: RoutePolicies, clientId: string, { allowed, reports }: Decision): void {
    this.tally.count(clientId, allowed);
    if (allowed) return;
    for (const report of reports) {
      if (!report.allowed) this.beyond.inc({ route: route.name, limit: report.subject.name });
    }
  }
}
