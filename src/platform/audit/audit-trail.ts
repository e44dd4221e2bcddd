import { Injectable } from '@nestjs/common';
import { DatabaseError } from 'pg';
import type { Counter } from 'prom-client';
import { Clock } from '../config';
import { DatabaseUnavailable } from '../database';
import { Log, Metrics } from '../telemetry';
import { auditLanes } from './audit-connections';
import { AuditWriter } from './audit-writer';
import { AuditUnavailable, ChainStuck } from './audit.errors';
import { Backlog, type Batch, type Waiting } from './backlog';
import { assertFits, type AuditEntry } from './entry';

/**
 * What one transaction appends at most, an entry counting as one and each of its subjects as another. A few milliseconds of
 * Postgres's time, since what is urgent waits for the batch of its chain that is under way.
 */
const mostInBatch = { urgent: 128, usual: 256 } as const;
/** While urgent entries keep coming, for so long after each, the others are written a page of a list at a time. */
const besideUrgent = { most: 20, forMs: 100 } as const;
/**
 * While a batch is under way, fewer entries wait for its end: they share the next one, and what it costs. Unless it takes
 * longer than a batch does.
 */
const fewEntries = { most: 5, forMs: 10 } as const;

/**
 * Appends to the audit log by group commit: what all requests of the process want to record while a batch is under way forms
 * the next one. A chain's lock, and the disk, are paid for once a batch, not once a request.
 */
@Injectable()
export class AuditTrail {
  private readonly backlog = new Backlog();
  /** The entries of the batches under way. */
  private underWay: (readonly Waiting[])[] = [];
  private urgentWasLast = false;
  private lastUrgentAt = -Infinity;
  /** The batch under way that few entries wait for, until they have waited for longer than they should. */
  private waitedFor: { readonly batch: readonly Waiting[] | undefined; isLate: boolean } | undefined;
  private scheduled = false;
  private whenIdle: (() => void)[] = [];
  private readonly lost: Counter;

  constructor(
    private readonly writer: AuditWriter,
    private readonly clock: Clock,
    private readonly log: Log,
    metrics: Metrics,
  ) {
    this.lost = metrics.counter('audit_entries_lost_total', 'Refusals and failures that the audit log could not take');
    const help = 'How long the audit entry waits that waits longest';
    metrics.gauge('audit_oldest_waiting_seconds', help, [], () => this.oldestMs() / 1000);
  }

  /**
   * Resolves once the entry is durable.
   * @param urgent goes before what is not, of its own chain and of all
   * @throws AuditUnavailable when it is not, or when that cannot be known; then what it allows must not happen
   */
  async append(entry: AuditEntry, urgent = false): Promise<void> {
    assertFits(entry);
    if (!this.backlog.takes(entry.practice, urgent)) throw new AuditUnavailable();
    await new Promise<void>((resolve, reject) => {
      const at = this.clock.now();
      if (urgent) this.lastUrgentAt = at;
      this.backlog.add({ entry, at, urgent, resolve, reject });
      this.schedule();
    });
  }

  /**
   * Records what is refused or failed in any case: resolves once the entry is durable or known to be lost, which is
   * counted and logged. Never rejects.
   * @param weight how many events the entry stands for
   */
  async offer(entry: AuditEntry, { weight = 1, urgent = false } = {}): Promise<void> {
    try {
      await this.append(entry, urgent);
    } catch (error) {
      this.lose(entry, weight, error);
    }
  }

  /** Counts and logs what should have been recorded, and was not. */
  lose({ action, outcome, code, actor, practice }: AuditEntry, weight: number, error: unknown): void {
    this.lost.inc(weight);
    this.log.error({ err: error, action, outcome, code, actor, practice, weight }, 'An audit entry was lost');
  }

  /** Resolves once nothing waits and no batch is under way. */
  async drained(): Promise<void> {
    if (this.backlog.size === 0 && this.underWay.length === 0) return;
    await new Promise<void>((resolve) => this.whenIdle.push(resolve));
  }

  /** In the next turn of the event loop, so that all requests that were read in this one share a batch. */
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      while (this.underWay.length < auditLanes && this.isWorthABatch) {
        const batch = this.draw();
        if (batch.size === 0) break;
        void this.write(batch);
      }
    });
  }

  private get isWorthABatch(): boolean {
    if (this.underWay.length === 0 || this.backlog.hasUrgent || this.backlog.size > fewEntries.most) return true;
    if (this.backlog.size === 0 || this.waitedFor?.isLate) return true;
    const [batch] = this.underWay;
    if (this.waitedFor?.batch === batch) return false;
    const waitedFor = { batch, isLate: false };
    this.waitedFor = waitedFor;
    setTimeout(() => {
      waitedFor.isLate = true;
      if (this.waitedFor === waitedFor) this.schedule();
    }, fewEntries.forMs);
    return false;
  }

  /** What is urgent first, but never twice in a row while something else may be written; in each chain, too. */
  private draw(): Batch {
    const order = this.urgentWasLast ? (['usual', 'urgent'] as const) : (['urgent', 'usual'] as const);
    for (const kind of order) {
      const batch = this.backlog.draw(kind, kind === 'urgent' ? mostInBatch.urgent : this.mostUsual);
      if (batch.size === 0) continue;
      this.urgentWasLast = kind === 'urgent';
      return batch;
    }
    return new Map();
  }

  private get mostUsual(): number {
    const isBeside = this.clock.now() - this.lastUrgentAt < besideUrgent.forMs;
    return isBeside ? besideUrgent.most : mostInBatch.usual;
  }

  private oldestMs(): number {
    const now = this.clock.now();
    const oldest = [...this.backlog.firsts(), ...this.underWay.flat()].reduce(
      (at, entry) => Math.min(at, entry?.at ?? now),
      now,
    );
    return now - oldest;
  }

  private async write(batch: Batch): Promise<void> {
    const entries = [...batch.values()].flat();
    this.underWay.push(entries);
    try {
      await this.writer.write(batch);
      this.backlog.trust(batch);
      for (const { resolve } of entries) resolve();
    } catch (error) {
      // Refused by Postgres, where another answer is to be had without the chain that is at fault. Of any other failure nobody
      // knows whether it came before or after the commit.
      if (batch.size > 1 && isRefusal(error)) this.backlog.putBack(batch);
      else for (const { reject } of entries) reject(new AuditUnavailable(error));
      // What waits of a chain that is stuck would else take the places of all others, a batch every few seconds.
      if (batch.size === 1 && error instanceof ChainStuck)
        for (const { reject } of this.backlog.takeAll(batch)) reject(new AuditUnavailable(error));
    } finally {
      this.underWay = this.underWay.filter((other) => other !== entries);
      if (this.waitedFor?.batch === entries) this.waitedFor = undefined;
      this.backlog.release(batch);
      if (this.backlog.size > 0) this.schedule();
      else if (this.underWay.length === 0) for (const resolve of this.whenIdle.splice(0)) resolve();
    }
  }
}

/** Whether Postgres itself said no, and so has committed nothing. */
function isRefusal(error: unknown): boolean {
  if (error instanceof DatabaseUnavailable) return false;
  return error instanceof DatabaseError || (error instanceof Error && error.cause instanceof DatabaseError);
}
