import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock, Config } from '../config';
import { Loop, type Turn } from '../outbox/loop';
import { Log, Metrics } from '../telemetry';
import { type Anchor, anchorFileOf, appendAnchors } from './anchor-file';
import { AuditConnections } from './audit-connections';
import { chainHeads } from './chains';

/**
 * Writes the heads of the chains that moved into a file outside of the database; on workers. A chain cannot tell by itself
 * that its tail was cut off, or that all of it was computed anew: who can do that in the database must not be able to
 * do it here.
 */
@Injectable()
export class AuditAnchor implements OnApplicationBootstrap {
  private readonly file: string;
  private readonly loop: Loop;
  /** By chain, the number that was anchored last by this process. */
  private readonly anchored = new Map<string, number>();
  private anchoredAt: number;

  constructor(
    private readonly config: Config,
    private readonly connections: AuditConnections,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
    log: Log,
  ) {
    this.file = anchorFileOf(config);
    this.loop = new Loop('audit-anchor', () => this.mark(), log, clock, config.get('AUDIT_ANCHOR_SECONDS') * 1000);
    this.anchoredAt = clock.now();
  }

  onApplicationBootstrap(): void {
    if (!this.config.runsQueues) return;
    this.metrics.gauge(
      'audit_anchor_age_seconds',
      'Since the heads of the audit log were last compared with those outside of the database, and written there',
      [],
      () => (this.clock.now() - this.anchoredAt) / 1000,
    );
    this.loop.start();
  }

  /** Anchors what was appended last, too. */
  async close(): Promise<void> {
    if (!this.config.runsQueues) return;
    await this.loop.stop();
    await this.mark();
  }

  private async mark(): Promise<Turn> {
    const now = this.clock.now();
    const heads = await this.connections.read((sql) => sql.query(chainHeads));
    const moved = heads.filter(({ practice, seq }) => this.anchored.get(practice) !== Number(seq));
    if (moved.length > 0) {
      const at = new Date(now).toISOString();
      const anchors = moved.map(({ practice, seq, hash }): Anchor => ({
        at,
        practice,
        seq: Number(seq),
        hash: hash.toString('hex'),
      }));
      await appendAnchors(this.file, anchors);
      for (const { practice, seq } of anchors) this.anchored.set(practice, seq);
    }
    this.anchoredAt = now;
    return 'idle';
  }
}
