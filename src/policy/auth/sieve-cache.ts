interface Slot<Value> {
  value: Value;
  visited: boolean;
}

/**
 * A bounded map that forgets what was not asked for lately: SIEVE (Zhang et al., NSDI ’24). A hit sets one bit and moves
 * nothing, and what was stored and never asked for again leaves before what is in use.
 */
export class SieveCache<Value> {
  private readonly slots = new Map<string, Slot<Value>>();
  /** A live iterator: entries deleted or added meanwhile do not disturb it, and it never walks the same holes twice. */
  private hand: MapIterator<[string, Slot<Value>]>;

  constructor(readonly capacity: number) {
    this.hand = this.slots.entries();
  }

  get size(): number {
    return this.slots.size;
  }

  get(key: string): Value | undefined {
    const slot = this.slots.get(key);
    if (slot === undefined) return undefined;
    slot.visited = true;
    return slot.value;
  }

  set(key: string, value: Value): void {
    const slot = this.slots.get(key);
    if (slot !== undefined) {
      slot.value = value;
      return;
    }
    if (this.slots.size >= this.capacity) this.evict();
    this.slots.set(key, { value, visited: false });
  }

  delete(key: string): void {
    this.slots.delete(key);
  }

  /** Forgets every value that `condemned` names; walks all of them. */
  deleteWhere(condemned: (value: Value) => boolean): void {
    for (const [key, slot] of this.slots) if (condemned(slot.value)) this.slots.delete(key);
  }

  clear(): void {
    this.slots.clear();
    this.hand = this.slots.entries();
  }

  private evict(): void {
    for (;;) {
      const next = this.hand.next();
      if (next.done === true) {
        this.hand = this.slots.entries();
        continue;
      }
      const [key, slot] = next.value;
      if (!slot.visited) {
        this.slots.delete(key);
        return;
      }
      slot.visited = false;
    }
  }
}
