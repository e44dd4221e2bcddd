import { Injectable } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { Config } from '../../platform/config';
import { ClassGate } from '../../platform/database';
import { Metrics } from '../../platform/telemetry';
import { PolicyRefusal } from '../errors/policy-refusal';
import { overloadedCode } from '../errors/problem';
import type { AroundPolicy, Passage } from '../pipeline/around';
import { CriticalWork } from './critical-work';

/** Keeps slots of the process for the critical class; beyond a class's share the answer is 503 at once, never a queue. */
@Injectable()
export class ConcurrencyPolicy implements AroundPolicy {
  private readonly gate: ClassGate;
  private readonly refused: Counter<'class'>;

  constructor(
    private readonly critical: CriticalWork,
    config: Config,
    metrics: Metrics,
  ) {
    this.gate = new ClassGate({
      total: config.get('CONCURRENCY_TOTAL'),
      reservedForCritical: config.get('CONCURRENCY_CRITICAL'),
      mostForBulk: config.get('CONCURRENCY_BULK'),
    });
    this.refused = metrics.counter('concurrency_refused_total', 'Requests beyond the share of their class', ['class']);
    const inWork = metrics.gauge('requests_in_work', 'Requests in work now', ['class']);
    Object.assign(inWork, {
      collect: () => {
        for (const name of ['critical', 'standard', 'bulk'] as const) inWork.set({ class: name }, this.gate.held(name));
      },
    });
  }

  async around({ request, route }: Passage, next: () => Promise<unknown>): Promise<unknown> {
    const { workClass } = route;
    if (!this.gate.tryTake(workClass)) {
      this.refused.inc({ class: workClass });
      throw overloaded();
    }
    const counted = workClass === 'critical' && request.gate.caller ? this.critical : undefined;
    counted?.begin();
    try {
      return await next();
    } finally {
      counted?.end();
      this.gate.give(workClass);
    }
  }
}

/** The refusal of what is beyond a class's share. */
export function overloaded(): PolicyRefusal {
  const text = 'An unexpected error occurred';
  return new PolicyRefusal(503, overloadedCode, text, text, { headers: { 'Retry-After': '1' } });
}
