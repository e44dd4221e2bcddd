import { Injectable } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { Clock } from '../config';
import { DatabaseUnavailable } from '../database';
import { Log, Metrics } from '../telemetry';
import { auditLanes } from './audit-connections';
import { AuditWriter, type TimedEntry } from './audit-writer';
import { AuditUnavailable } from './audit.errors';
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
/** Entries that wait for a batch at most; beyond, the log is unavailable. */
const mostWaiting = 8_192;

interface Waiting extends TimedEntry {
  readonly urgent: boolean;
  readonly resolve: () => void;
  readonly reject: (error: AuditUnavailable) => void;
}

/**
 * Appends to the audit log by group commit: what all requests of the process want to record while a batch is under way forms
 * the next one. A chain's lock, and the disk, are paid for once a batch, not once a request.
 */
@Injectable()
export class AuditTrail {
  /** By chain, the chain that has waited longest first. */
  private readonly urgent = new Map<string, Waiting[]>();
  private readonly usual = new Map<string, Waiting[]>();
  private waitingCount = 0;
  /** Chains of the batches under way: the next entries of a chain wait for them, other chains need not. */
  private readonly busy = new Set<string>();
  /** Chains that failed or may be stuck: each gets a batch of its own, one at a time, and fails no other chain's entries. */
  private readonly suspect = new Set<string>();
  /** The entries of the batches under way. */
  private readonly underWay = new Set<readonly Waiting[]>();
  private urgentWasLast = false;
  private lastUrgentAt = -Infinity;
  /** A batch under way that has kept few entries waiting for longer than it should. */
  private late: readonly Waiting[] | undefined;
  private scheduled = false;
  private reconsider: NodeJS.Timeout | undefined;
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
    if (this.waitingCount >= mostWaiting) throw new AuditUnavailable();
    await new Promise<void>((resolve, reject) => {
      const last = { entry, at: this.clock.now(), urgent, resolve, reject };
      if (urgent) this.lastUrgentAt = last.at;
      const waiting = this.lineOf(last);
      const chain = waiting.get(entry.practice);
      if (chain) chain.push(last);
      else waiting.set(entry.practice, [last]);
      this.waitingCount += 1;
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
      this.lost.inc(weight);
      const { action, outcome, code, actor, practice } = entry;
      this.log.error({ err: error, action, outcome, code, actor, practice, weight }, 'An audit entry was lost');
    }
  }

  /** Resolves once nothing waits and no batch is under way. */
  async drained(): Promise<void> {
    if (this.waitingCount === 0 && this.underWay.size === 0) return;
    await new Promise<void>((resolve) => this.whenIdle.push(resolve));
  }

  /** In the next turn of the event loop, so that all requests that were read in this one share a batch. */
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      while (this.underWay.size < auditLanes && this.isWorthABatch) {
        const batch = this.draw();
        if (batch.size === 0) break;
        void this.write(batch);
      }
    });
  }

  private get isWorthABatch(): boolean {
    if (this.underWay.size === 0 || this.urgent.size > 0 || this.waitingCount > fewEntries.most) return true;
    if (this.waitingCount === 0 || this.late !== undefined) return true;
    this.reconsider ??= setTimeout(() => {
      this.reconsider = undefined;
      [this.late] = this.underWay;
      this.schedule();
    }, fewEntries.forMs);
    return false;
  }

  /** What is urgent first, but never twice in a row while something else may be written. */
  private draw(): Map<string, Waiting[]> {
    const order = this.urgentWasLast ? (['usual', 'urgent'] as const) : (['urgent', 'usual'] as const);
    for (const kind of order) {
      const batch = this.drawFrom(this[kind], kind === 'urgent' ? mostInBatch.urgent : this.mostUsual);
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

  private drawFrom(waiting: Map<string, Waiting[]>, most: number): Map<string, Waiting[]> {
    const batch = new Map<string, Waiting[]>();
    let room = most;
    for (const [practice, chain] of waiting) {
      const alone = this.suspect.has(practice);
      if (this.busy.has(practice) || (alone && (batch.size > 0 || this.suspectIsBusy))) continue;
      const drawn = chain.splice(0, countOf(chain, room));
      for (const entry of drawn) room -= weightOf(entry);
      this.waitingCount -= drawn.length;
      batch.set(practice, drawn);
      this.busy.add(practice);
      // What is left stands behind the other chains the next time.
      waiting.delete(practice);
      if (chain.length > 0) waiting.set(practice, chain);
      if (alone || room <= 0) break;
    }
    return batch;
  }

  private lineOf(one: Waiting | undefined): Map<string, Waiting[]> {
    return one?.urgent ? this.urgent : this.usual;
  }

  /** The other lane is for those who are not. */
  private get suspectIsBusy(): boolean {
    return [...this.suspect].some((practice) => this.busy.has(practice));
  }

  private oldestMs(): number {
    const now = this.clock.now();
    const firsts = [...this.urgent.values(), ...this.usual.values(), ...this.underWay].map(
      ([first]) => first?.at ?? now,
    );
    return Math.max(0, ...firsts.map((at) => now - at));
  }

  private async write(batch: Map<string, Waiting[]>): Promise<void> {
    const entries = [...batch.values()].flat();
    this.underWay.add(entries);
    try {
      await this.writer.write(batch);
      for (const practice of batch.keys()) this.suspect.delete(practice);
      for (const { resolve } of entries) resolve();
    } catch (error) {
      // Refused by Postgres, where another answer is to be had without the chain that is at fault.
      if (batch.size > 1 && !(error instanceof DatabaseUnavailable)) this.putBack(batch);
      else for (const { reject } of entries) reject(new AuditUnavailable(error));
    } finally {
      this.underWay.delete(entries);
      if (this.late === entries) this.late = undefined;
      for (const practice of batch.keys()) this.busy.delete(practice);
      if (this.waitingCount > 0) this.schedule();
      else if (this.underWay.size === 0) for (const resolve of this.whenIdle.splice(0)) resolve();
    }
  }

  /** Nobody knows which of the chains it was: each tries again, alone. */
  private putBack(batch: Map<string, Waiting[]>): void {
    for (const [practice, chain] of batch) {
      this.suspect.add(practice);
      const waiting = this.lineOf(chain[0]);
      waiting.set(practice, [...chain, ...(waiting.get(practice) ?? [])]);
      this.waitingCount += chain.length;
    }
  }
}

const weightOf = ({ entry }: Waiting): number => 1 + entry.subjects.length;

/** How many of them fill the room; the first always fits. */
function countOf(chain: readonly Waiting[], room: number): number {
  let left = room;
  const end = chain.findIndex((waiting) => (left -= weightOf(waiting)) <= 0);
  return end < 0 ? chain.length : end + 1;
}
