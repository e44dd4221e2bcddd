import type { WorkClass } from '../context';

/** How many of a resource there are, and how they are shared between the classes of work. */
export interface Shares {
  readonly total: number;
  /** Of the total, what only `critical` may take. */
  readonly reservedForCritical: number;
  /** The most that `bulk` may hold at once. */
  readonly mostForBulk: number;
}

/** Counts what each class of work holds of a bounded resource and says whether it may take one more. */
export class ClassGate {
  private critical = 0;
  private standard = 0;
  private bulk = 0;

  constructor(readonly shares: Shares) {}

  /** Takes one for that class, or says `false` at once. */
  tryTake(workClass: WorkClass): boolean {
    if (!this.hasRoom(workClass)) return false;
    this[workClass] += 1;
    return true;
  }

  /** Whether that class may take one. */
  hasRoom(workClass: WorkClass): boolean {
    const { total, reservedForCritical, mostForBulk } = this.shares;
    const others = this.standard + this.bulk;
    if (others + this.critical >= total) return false;
    if (workClass === 'critical') return true;
    return others < total - reservedForCritical && (workClass === 'standard' || this.bulk < mostForBulk);
  }

  /** Gives back what `tryTake` gave to that class. */
  give(workClass: WorkClass): void {
    if (this[workClass] === 0) throw new Error(`More given back than taken by class ${workClass}`);
    this[workClass] -= 1;
  }

  /** What the class holds now. */
  held(workClass: WorkClass): number {
    return this[workClass];
  }
}
