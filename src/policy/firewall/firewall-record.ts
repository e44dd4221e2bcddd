import { Injectable } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { Log, Metrics } from '../../platform/telemetry';

/** Where a rule hit. */
export type FirewallPlace = 'head' | 'query' | 'body';

/** Counts and logs what the firewall refuses, by rule and place: never the value, which may be PHI or a password. */
@Injectable()
export class FirewallRecord {
  private readonly refusals: Counter<'rule'>;

  constructor(
    private readonly log: Log,
    metrics: Metrics,
  ) {
    this.refusals = metrics.counter('firewall_refusals_total', 'Requests that the firewall refused', ['rule']);
  }

  refused(rule: string, place: FirewallPlace): void {
    this.refusals.inc({ rule });
    this.log.warn({ rule, place }, 'The firewall refused a request');
  }

  /** Counts an address that sends too fast. No line for each: the flood would go on in the log. */
  limited(): void {
    this.refusals.inc({ rule: 'address-rate' });
  }
}
