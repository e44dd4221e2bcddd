import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { Clock } from '../config';
import { statement } from '../database';
import { Loop, type Turn } from '../outbox/loop';
import { Log, Metrics } from '../telemetry';
import { AuditConnections } from './audit-connections';

/** A block is some milliseconds of Postgres's time. What is due may wait: a search reads it entry by entry until then. */
const mostInTurn = 2;

const indexSome = statement<{ count: number }>('audit.index-blocks', 'SELECT index_audit_blocks($1) AS count');

/**
 * Indexes who stands in the full blocks of the audit log, in the background of every process that appends: no request waits
 * for an index.
 */
@Injectable()
export class AuditIndex implements OnApplicationBootstrap {
  private readonly loop: Loop;
  private readonly indexed: Counter;

  constructor(
    private readonly connections: AuditConnections,
    clock: Clock,
    log: Log,
    metrics: Metrics,
  ) {
    this.indexed = metrics.counter('audit_blocks_indexed_total', 'Blocks of 128 audit entries that were indexed');
    this.loop = new Loop('audit-index', () => this.indexSome(), log, clock);
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  close(): Promise<void> {
    return this.loop.stop();
  }

  private async indexSome(): Promise<Turn> {
    const [{ count }] = (await this.connections.maintain(indexSome, [mostInTurn])) as [{ count: number }];
    this.indexed.inc(count);
    return count > 0 ? 'soon' : 'idle';
  }
}
