import { Injectable } from '@nestjs/common';
import { DatabaseError } from 'pg';
import type { Counter } from 'prom-client';
import { Clock } from '../config';
import { DatabaseUnavailable } from '../database';
import { Log, Metrics } from '../telemetry';
import { auditLanes } from './audit-connections';
import { AuditWriter, type TimedEntry } from './audit-writer';
import { AuditUnavailable, ChainStuck } from './audit.errors';
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
/** Entries that wait for a batch at most, of all chains and of one; beyond, the log is unavailable. */
const mostWaiting = { ofAll: 8_192, ofOne: 4_096 } as const;
/** Room of both that is kept for what is urgent: no flood of anything else costs a cross-practice attempt its entry. */
const moreIfUrgent = 1_024;
/** Chains whose lists are kept for their next entries. */
const mostChains = 10_000;

interface Waiting extends TimedEntry {
  readonly urgent: boolean;
  readonly resolve: () => void;
  readonly reject: (error: AuditUnavailable) => void;
}

type Kind = 'urgent' | 'usual';

/** What waits of one chain. */
interface Chain {
  readonly waiting: Readonly<Record<Kind, Waiting[]>>;
  /** What its last batch was of. */
  last: Kind | undefined;
  /** In a batch that is under way: its next entries wait for that, other chains need not. */
  isBusy: boolean;
}

/**
 * Appends to the audit log by group commit: what all requests of the process want to record while a batch is under way forms
 * the next one. A chain's lock, and the disk, are paid for once a batch, not once a request.
 */
@Injectable()
export class AuditTrail {
  /**
   * By their practices; kept while nothing waits. (A map or set that is filled and emptied with each request makes its table
   * anew all the time, and the former tables, once among V8's old objects, hold on to all that was ever in the next ones.)
   */
  private readonly chains = new Map<string, Chain>();
  /** Practices of the chains of which something waits, the one that has waited longest first. */
  private readonly line: Record<Kind, string[]> = { urgent: [], usual: [] };
  private waitingCount = 0;
  /** Chains that failed or may be stuck: each gets a batch of its own, one at a time, and fails no other chain's entries. */
  private readonly suspect = new Set<string>();
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
    const { waiting } = this.chainOf(entry.practice);
    const ofOne = waiting.urgent.length + waiting.usual.length;
    const more = urgent ? moreIfUrgent : 0;
    if (this.waitingCount >= mostWaiting.ofAll + more || ofOne >= mostWaiting.ofOne + more)
      throw new AuditUnavailable();
    await new Promise<void>((resolve, reject) => {
      const at = this.clock.now();
      if (urgent) this.lastUrgentAt = at;
      this.enter(entry.practice, [{ entry, at, urgent, resolve, reject }]);
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
    if (this.waitingCount === 0 && this.underWay.length === 0) return;
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
    if (this.underWay.length === 0 || this.line.urgent.length > 0 || this.waitingCount > fewEntries.most) return true;
    if (this.waitingCount === 0 || this.waitedFor?.isLate) return true;
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
  private draw(): Map<string, Waiting[]> {
    const order = this.urgentWasLast ? (['usual', 'urgent'] as const) : (['urgent', 'usual'] as const);
    for (const kind of order) {
      const batch = this.drawFrom(kind, kind === 'urgent' ? mostInBatch.urgent : this.mostUsual);
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

  private drawFrom(kind: Kind, most: number): Map<string, Waiting[]> {
    const batch = new Map<string, Waiting[]>();
    const line = this.line[kind];
    const next: string[] = [];
    const behind: string[] = [];
    const { suspectIsBusy } = this;
    let room = most;
    let at = 0;
    for (; at < line.length && room > 0; at += 1) {
      const practice = line[at] ?? '';
      const chain = this.chainOf(practice);
      const isAlone = this.suspect.has(practice);
      const isOthersTurn = chain.last === kind && chain.waiting[otherThan[kind]].length > 0;
      if (chain.isBusy || isOthersTurn || (isAlone && (batch.size > 0 || suspectIsBusy))) {
        next.push(practice);
        continue;
      }
      const waiting = chain.waiting[kind];
      const drawn = waiting.splice(0, countOf(waiting, room));
      for (const entry of drawn) room -= weightOf(entry);
      if (isAlone) room = 0;
      this.waitingCount -= drawn.length;
      batch.set(practice, drawn);
      chain.isBusy = true;
      chain.last = kind;
      // What is left stands behind the other chains the next time.
      if (waiting.length > 0) behind.push(practice);
    }
    if (batch.size > 0) this.line[kind] = [...next, ...line.slice(at), ...behind];
    return batch;
  }

  private chainOf(practice: string): Chain {
    let chain = this.chains.get(practice);
    if (!chain)
      this.chains.set(practice, (chain = { waiting: { urgent: [], usual: [] }, last: undefined, isBusy: false }));
    return chain;
  }

  /** Lets entries wait, before what waits of their chain already where they `wereDrawn` before. */
  private enter(practice: string, entries: readonly Waiting[], wereDrawn = false): void {
    const kind = entries[0]?.urgent ? 'urgent' : 'usual';
    const waiting = this.chainOf(practice).waiting[kind];
    if (waiting.length === 0) this.line[kind].push(practice);
    if (wereDrawn) waiting.unshift(...entries);
    else waiting.push(...entries);
    this.waitingCount += entries.length;
  }

  private leave(practice: string): void {
    this.chainOf(practice).isBusy = false;
    if (this.chains.size <= mostChains) return;
    for (const [name, { waiting, isBusy }] of this.chains) {
      if (!isBusy && waiting.urgent.length + waiting.usual.length === 0) this.chains.delete(name);
      if (this.chains.size <= mostChains) break;
    }
  }

  /** The other lane is for those who are not. */
  private get suspectIsBusy(): boolean {
    return [...this.suspect].some((practice) => this.chains.get(practice)?.isBusy);
  }

  private oldestMs(): number {
    const now = this.clock.now();
    const waiting = [...this.chains.values()].flatMap((chain) => [chain.waiting.urgent[0], chain.waiting.usual[0]]);
    const oldest = [...waiting, ...this.underWay.flat()].reduce((at, entry) => Math.min(at, entry?.at ?? now), now);
    return now - oldest;
  }

  private async write(batch: Map<string, Waiting[]>): Promise<void> {
    const entries = [...batch.values()].flat();
    this.underWay.push(entries);
    try {
      await this.writer.write(batch);
      for (const practice of batch.keys()) this.suspect.delete(practice);
      for (const { resolve } of entries) resolve();
    } catch (error) {
      // Refused by Postgres, where another answer is to be had without the chain that is at fault. Of any other failure nobody
      // knows whether it came before or after the commit.
      if (batch.size > 1 && isRefusal(error)) this.putBack(batch);
      else for (const { reject } of entries) reject(new AuditUnavailable(error));
      if (batch.size === 1 && error instanceof ChainStuck) this.refuseWaiting([...batch.keys()], error);
    } finally {
      this.underWay = this.underWay.filter((other) => other !== entries);
      if (this.waitedFor?.batch === entries) this.waitedFor = undefined;
      for (const practice of batch.keys()) this.leave(practice);
      if (this.waitingCount > 0) this.schedule();
      else if (this.underWay.length === 0) for (const resolve of this.whenIdle.splice(0)) resolve();
    }
  }

  /** What waits of a chain that is stuck would else take the places of all others, a batch every few seconds. */
  private refuseWaiting(practices: readonly string[], cause: unknown): void {
    for (const kind of ['urgent', 'usual'] as const) {
      this.line[kind] = this.line[kind].filter((practice) => !practices.includes(practice));
      for (const practice of practices)
        for (const { reject } of this.chainOf(practice).waiting[kind].splice(0)) {
          this.waitingCount -= 1;
          reject(new AuditUnavailable(cause));
        }
    }
  }

  /** Nobody knows which of the chains it was: each tries again, alone. */
  private putBack(batch: Map<string, Waiting[]>): void {
    for (const [practice, entries] of batch) {
      this.suspect.add(practice);
      this.enter(practice, entries, true);
    }
  }
}

const otherThan = { urgent: 'usual', usual: 'urgent' } as const;

/** Whether Postgres itself said no, and so has committed nothing. */
function isRefusal(error: unknown): boolean {
  if (error instanceof DatabaseUnavailable) return false;
  return error instanceof DatabaseError || (error instanceof Error && error.cause instanceof DatabaseError);
}

const weightOf = ({ entry }: Waiting): number => 1 + entry.subjects.length;

/** How many of them fill the room; the first always fits. */
function countOf(chain: readonly Waiting[], room: number): number {
  let left = room;
  const end = chain.findIndex((waiting) => (left -= weightOf(waiting)) <= 0);
  return end < 0 ? chain.length : end + 1;
}
