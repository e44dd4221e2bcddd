import type { WorkClass } from '../context';
import type { ClassGate, Shares } from './class-gate';

/** A place in the line for a `Thing`. */
export interface Place<Thing> {
  readonly workClass: WorkClass;
  readonly arrival: number;
  /** Told that the gate has let one be taken, and which one, if it is at hand. */
  readonly admit: (thing?: Thing) => void;
}

/**
 * How many of each class may wait for each connection that the class may have. A critical request waits for as long as it may
 * (3 s, if a transaction takes less than 47 ms). The others are turned away while that still is of use to the client, and before
 * what they hold while they wait slows everybody down.
 */
const waitersPerConnection: Readonly<Record<WorkClass, number>> = { critical: 64, standard: 16, bulk: 8 };

/** Who waits for a connection: no more of a class than could still be served, critical work first, then who came first. */
export class WaitingLine<Thing> {
  /** The most that may wait, by class; one class's crowd takes no place of another. */
  readonly most: Readonly<Record<WorkClass, number>>;
  private readonly waiting: Readonly<Record<WorkClass, Set<Place<Thing>>>> = {
    critical: new Set(),
    standard: new Set(),
    bulk: new Set(),
  };
  private arrivals = 0;

  constructor({ total, reservedForCritical, mostForBulk }: Shares) {
    const forOthers = total - reservedForCritical;
    this.most = {
      critical: total * waitersPerConnection.critical,
      standard: forOthers * waitersPerConnection.standard,
      bulk: Math.min(forOthers, mostForBulk) * waitersPerConnection.bulk,
    };
  }

  /** The next place of that class, or `undefined` where as many wait as may. */
  enter(workClass: WorkClass, admit: Place<Thing>['admit']): Place<Thing> | undefined {
    const ofClass = this.waiting[workClass];
    if (ofClass.size >= this.most[workClass]) return undefined;
    this.arrivals += 1;
    const place = { workClass, arrival: this.arrivals, admit };
    ofClass.add(place);
    return place;
  }

  get isEmpty(): boolean {
    return classes.every((workClass) => this.waiting[workClass].size === 0);
  }

  leave(place: Place<Thing>): void {
    this.waiting[place.workClass].delete(place);
  }

  /** Whether `next` would find somebody. */
  hasNext(gate: ClassGate): boolean {
    return classes.some((workClass) => this.waiting[workClass].size > 0 && gate.hasRoom(workClass));
  }

  /** Takes the first out of the line whose class the gate lets take one now, if there is one. */
  next(gate: ClassGate): Place<Thing> | undefined {
    const critical = first(this.waiting.critical);
    const standard = first(this.waiting.standard);
    const bulk = first(this.waiting.bulk);
    const [earlier, later] =
      bulk && (!standard || bulk.arrival < standard.arrival) ? [bulk, standard] : [standard, bulk];
    const next = admissible(critical, gate) ?? admissible(earlier, gate) ?? admissible(later, gate);
    if (next) this.leave(next);
    return next;
  }
}

const classes = ['critical', 'standard', 'bulk'] as const;

function first<Thing>(places: ReadonlySet<Place<Thing>>): Place<Thing> | undefined {
  return places.values().next().value;
}

function admissible<Thing>(place: Place<Thing> | undefined, gate: ClassGate): Place<Thing> | undefined {
  return place && gate.tryTake(place.workClass) ? place : undefined;
}
