import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of this process in Prometheus’ format. Names follow its conventions: unit last, counters end in `_total`. */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** A counter; `labels` must have few values (routes, not users). */
  counter<const Label extends string>(name: string, help: string, labels: readonly Label[] = []): Counter<Label> {
    return new Counter({ name, help, labelNames: [...labels], registers: [this.registry] });
  }

  /** A gauge; with `read`, its value is asked for at each scrape. */
  gauge<const Label extends string>(
    name: string,
    help: string,
    labels: readonly Label[] = [],
    read?: () => number,
  ): Gauge<Label> {
    return new Gauge({
      name,
      help,
      labelNames: [...labels],
      registers: [this.registry],
      ...(read && {
        collect(this: Gauge<Label>) {
          this.set(read());
        },
      }),
    });
  }

  /** A histogram of seconds. */
  histogram<const Label extends string>(name: string, help: string, labels: readonly Label[] = []): Histogram<Label> {
    return new Histogram({
      name,
      help,
      labelNames: [...labels],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers: [this.registry],
    });
  }
}
