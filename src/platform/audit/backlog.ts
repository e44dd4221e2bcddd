import type { TimedEntry } from './audit-writer';
import type { AuditUnavailable } from './audit.errors';

/** Entries that wait for a batch at most, of all chains and of one; beyond, the log is unavailable. */
const mostWaiting = { ofAll: 8_192, ofOne: 4_096 } as const;
/** Room of both that is kept for what is urgent: no flood of anything else costs a cross-practice attempt its entry. */
const moreIfUrgent = 1_024;
/** Chains whose lists are kept for their next entries. */
const mostChains = 10_000;

/** An entry, and who is told what became of it. */
export interface Waiting extends TimedEntry {
  readonly urgent: boolean;
  readonly resolve: () => void;
  readonly reject: (error: AuditUnavailable) => void;
}

export type Kind = 'urgent' | 'usual';

/** Entries of one transaction, by their practices. */
export type Batch = ReadonlyMap<string, readonly Waiting[]>;

/** What waits of one chain. */
interface Chain {
  readonly waiting: Readonly<Record<Kind, Waiting[]>>;
  /** What its last batch was of. */
  last: Kind | undefined;
  /** In a batch that is under way: its next entries wait for that, other chains need not. */
  isBusy: boolean;
}

/**
 * What waits for a batch, by chains. A chain is in one batch at a time; where both kinds wait in it they take turns, and each
 * keeps its order.
 */
export class Backlog {
  /**
   * By their practices; kept while nothing waits. (A map or set that is filled and emptied with each request makes its table
   * anew all the time, and the former tables, once among V8's old objects, hold on to all that was ever in the next ones.)
   */
  private readonly chains = new Map<string, Chain>();
  /** Practices of the chains of which something waits, the one that has waited longest first. */
  private readonly line: Record<Kind, string[]> = { urgent: [], usual: [] };
  /** Chains that failed or may be stuck: each gets a batch of its own, one at a time, and fails no other chain's entries. */
  private readonly suspect = new Set<string>();
  private waitingCount = 0;

  /** Entries that wait. */
  get size(): number {
    return this.waitingCount;
  }

  get hasUrgent(): boolean {
    return this.line.urgent.length > 0;
  }

  /** Whether there is room for one more of the practice. */
  takes(practice: string, urgent: boolean): boolean {
    const { waiting } = this.chainOf(practice);
    const ofOne = waiting.urgent.length + waiting.usual.length;
    const more = urgent ? moreIfUrgent : 0;
    return this.waitingCount < mostWaiting.ofAll + more && ofOne < mostWaiting.ofOne + more;
  }

  add(waiting: Waiting): void {
    this.enter(waiting.entry.practice, [waiting], 'behind');
  }

  /** The next batch of a kind: chains in turn, until their entries fill the room; empty where nothing may be written now. */
  draw(kind: Kind, most: number): Batch {
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

  /** Of a batch that is written. */
  trust(batch: Batch): void {
    for (const practice of batch.keys()) this.suspect.delete(practice);
  }

  /** Of a batch that Postgres refused: nobody knows which of the chains it was, and each tries again, alone. */
  putBack(batch: Batch): void {
    for (const [practice, entries] of batch) {
      this.suspect.add(practice);
      this.enter(practice, entries, 'before');
    }
  }

  /** Of a batch that is no longer under way, however it ended. */
  release(batch: Batch): void {
    for (const practice of batch.keys()) this.chainOf(practice).isBusy = false;
    if (this.chains.size <= mostChains) return;
    for (const [name, { waiting, isBusy }] of this.chains) {
      if (!isBusy && waiting.urgent.length + waiting.usual.length === 0) this.chains.delete(name);
      if (this.chains.size <= mostChains) break;
    }
  }

  /** All that waits of the chains of a batch; it waits no longer. */
  takeAll(batch: Batch): Waiting[] {
    const taken: Waiting[] = [];
    for (const kind of ['urgent', 'usual'] as const) {
      this.line[kind] = this.line[kind].filter((practice) => !batch.has(practice));
      for (const practice of batch.keys()) taken.push(...this.chainOf(practice).waiting[kind].splice(0));
    }
    this.waitingCount -= taken.length;
    return taken;
  }

  /** The first of each chain and kind. */
  firsts(): (Waiting | undefined)[] {
    return [...this.chains.values()].flatMap(({ waiting }) => [waiting.urgent[0], waiting.usual[0]]);
  }

  /** Lets entries wait, before or behind what waits of their chain already. */
  private enter(practice: string, entries: readonly Waiting[], where: 'before' | 'behind'): void {
    const kind = entries[0]?.urgent ? 'urgent' : 'usual';
    const waiting = this.chainOf(practice).waiting[kind];
    if (waiting.length === 0) this.line[kind].push(practice);
    if (where === 'before') waiting.unshift(...entries);
    else waiting.push(...entries);
    this.waitingCount += entries.length;
  }

  private chainOf(practice: string): Chain {
    let chain = this.chains.get(practice);
    if (!chain)
      this.chains.set(practice, (chain = { waiting: { urgent: [], usual: [] }, last: undefined, isBusy: false }));
    return chain;
  }

  /** The other lane is for those who are not. */
  private get suspectIsBusy(): boolean {
    return [...this.suspect].some((practice) => this.chains.get(practice)?.isBusy);
  }
}

const otherThan = { urgent: 'usual', usual: 'urgent' } as const;

const weightOf = ({ entry }: Waiting): number => 1 + entry.subjects.length;

/** How many of them fill the room; the first always fits. */
function countOf(chain: readonly Waiting[], room: number): number {
  let left = room;
  const end = chain.findIndex((waiting) => (left -= weightOf(waiting)) <= 0);
  return end < 0 ? chain.length : end + 1;
}
