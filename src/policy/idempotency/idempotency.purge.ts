import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Config } from '../../platform/config';
import { statement } from '../../platform/database';
import { SystemDatabase } from '../../platform/database/system';
import { Log } from '../../platform/telemetry';

const everyMs = 60_000;
const batchSize = 5_000;

/** The BRIN index on `expires_at` finds the old pages; a key that was taken again meanwhile is judged again, and stays. */
const purge = statement<{ count: number }>(
  'idempotency.purge',
  `WITH old AS (
     SELECT tenant_id, key_hash FROM idempotency_records WHERE expires_at < now() LIMIT $1
   ), gone AS (
     DELETE FROM idempotency_records r USING old
     WHERE r.tenant_id = old.tenant_id AND r.key_hash = old.key_hash AND r.expires_at < now() RETURNING 1
   )
   SELECT count(*)::int AS count FROM gone`,
);

/** Removes the answers whose 24 hours are over; on workers. */
@Injectable()
export class IdempotencyPurge implements OnApplicationBootstrap, OnModuleDestroy {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly config: Config,
    private readonly system: SystemDatabase,
    private readonly log: Log,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.config.runsQueues) return;
    this.timer = setInterval(() => {
      this.run().catch((error: unknown) => {
        this.log.warn({ err: error }, 'Expired idempotency records were not removed; the next minute tries again');
      });
    }, everyMs).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  /** Removes all that has expired, batch by batch; tells how many. */
  async run(): Promise<number> {
    let total = 0;
    for (;;) {
      const [row] = await this.system.run((sql) => sql.query(purge, [batchSize]), 'bulk');
      total += row?.count ?? 0;
      if ((row?.count ?? 0) < batchSize) return total;
    }
  }
}
