import { hash as digest } from 'node:crypto';
import type { Anchor } from './anchor-file';
import { genesisOf, hashBytes } from './chain';
import { bodyHead } from './entry';

/** The first thing that is wrong with a chain. */
export interface ChainFault {
  readonly practice: string;
  /** The number of the entry, or the one at which an entry should be. */
  readonly seq: number;
  /** Of the entry; `undefined` where there is none. */
  readonly id: string | undefined;
  readonly what: string;
}

const firstScratchBytes = 64 * 1024;

/**
 * Checks one chain, entry by entry in their order: numbers without a gap, each hash over the one before and the entry's bytes,
 * and the anchors. Believes the database nothing but the bytes it gives.
 */
export class ChainCheck {
  private readonly head: Buffer;
  /** The hash before, then the bytes of the entry: what is to be hashed stands in one piece. */
  private scratch = Buffer.allocUnsafe(firstScratchBytes);
  private readonly anchorAt = new Map<number, Anchor>();
  private lastAnchor: Anchor | undefined;
  private count = 0;
  private found: ChainFault | undefined;

  constructor(
    private readonly practice: string,
    anchors: readonly Anchor[],
  ) {
    this.head = Buffer.from(bodyHead(practice));
    genesisOf(practice).copy(this.scratch);
    for (const anchor of anchors) {
      const known = this.anchorAt.get(anchor.seq);
      // Two anchors of one entry that differ: it cannot be as both say, so whichever is false must be met.
      if (known && known.hash !== anchor.hash) this.fail(anchor.seq, undefined, 'two anchors of it differ');
      this.anchorAt.set(anchor.seq, anchor);
      if (!this.lastAnchor || anchor.seq > this.lastAnchor.seq) this.lastAnchor = anchor;
    }
  }

  /** Entries that were right. */
  get entries(): number {
    return this.count;
  }

  /** What is wrong so far; the chain is not looked at any further then. */
  get fault(): ChainFault | undefined {
    return this.found;
  }

  /** The next entry; the buffers are not kept. */
  next(body: Buffer, hash: Buffer): void {
    if (this.found) return;
    const seq = this.count + 1;
    if (!this.standsAt(body, seq)) {
      this.misplaced(body, seq);
      return;
    }
    const end = hashBytes + body.length;
    if (end > this.scratch.length) this.grow(end);
    body.copy(this.scratch, hashBytes);
    const computed = digest('sha256', this.scratch.subarray(0, end), 'buffer');
    if (!computed.equals(hash)) {
      this.fail(
        seq,
        idOf(body),
        'its hash does not follow from its text and the entry before: one of them was changed',
      );
      return;
    }
    const anchor = this.anchorAt.get(seq);
    if (anchor && anchor.hash !== computed.toString('hex')) {
      this.fail(seq, idOf(body), `it is not what was anchored at ${anchor.at}: it or one before was written anew`);
      return;
    }
    computed.copy(this.scratch);
    this.count = seq;
  }

  /** All entries were given. */
  end(): void {
    if (this.found || !this.lastAnchor || this.lastAnchor.seq <= this.count) return;
    const { seq, at } = this.lastAnchor;
    this.fail(this.count + 1, undefined, `the tail was cut off after ${this.count}: ${seq} was anchored at ${at}`);
  }

  private standsAt(body: Buffer, seq: number): boolean {
    const { head } = this;
    if (body.length < head.length || body.compare(head, 0, head.length, 0, head.length) !== 0) return false;
    let number = 0;
    let at = head.length;
    for (let digit = (body[at] ?? 0) - 48; digit >= 0 && digit <= 9; digit = (body[++at] ?? 0) - 48) {
      number = number * 10 + digit;
    }
    return number === seq && body[at] === 44; // a comma
  }

  private misplaced(body: Buffer, expected: number): void {
    const { practice, seq, id } = parsed(body);
    if (practice !== this.practice) this.fail(expected, id, 'it says that it stands in another chain');
    else if (seq !== undefined && seq > expected) {
      const missing =
        seq - 1 === expected ? `entry ${expected} is missing` : `entries ${expected} to ${seq - 1} are missing`;
      this.fail(expected, undefined, missing);
    } else this.fail(expected, id, `it says that its number is ${seq ?? 'none'}`);
  }

  private fail(seq: number, id: string | undefined, what: string): void {
    this.found ??= { practice: this.practice, seq, id, what };
  }

  private grow(bytes: number): void {
    const larger = Buffer.allocUnsafe(bytes * 2);
    this.scratch.copy(larger, 0, 0, hashBytes);
    this.scratch = larger;
  }
}

function idOf(body: Buffer): string | undefined {
  return parsed(body).id;
}

function parsed(body: Buffer): { practice?: string; seq?: number; id?: string } {
  try {
    return JSON.parse(body.toString()) as { practice?: string; seq?: number; id?: string };
  } catch {
    return {}; // whatever it is, it is not an entry; its place is named
  }
}
