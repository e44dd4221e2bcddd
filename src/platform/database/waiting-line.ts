import type { WorkClass } from '../context';
import type { ClassGate, Shares } from './class-gate';

/** A place in the line. */
export interface Place {
  readonly workClass: WorkClass;
  readonly arrival: number;
  readonly admit: () => void;
}

/**
 * How many of each class may wait for each connection that the class may have. A critical request waits for as long as it may
 * (3 s, if a transaction takes less than 47 ms). The others are turned away while that still is of use to the client, and before
 * what they hold while they wait slows everybody down.
 */
const waitersPerConnection: Readonly<Record<WorkClass, number>> = { critical: 64, standard: 16, bulk: 8 };

/** Who waits for a connection: no more of a class than could still be served, critical work first, then who came first. */
export class WaitingLine {
  /** The most that may wait, by class; one class's crowd takes no place of another. */
  readonly most: Readonly<Record<WorkClass, number>>;
  private readonly waiting: Readonly<Record<WorkClass, Set<Place>>> = {
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
  enter(workClass: WorkClass, admit: () => void): Place | undefined {
    const ofClass = this.waiting[workClass];
    if (ofClass.size >= this.most[workClass]) return undefined;
    this.arrivals += 1;
    const place = { workClass, arrival: this.arrivals, admit };
    ofClass.add(place);
    return place;
  }

  leave(place: Place): void {
    this.waiting[place.workClass].delete(place);
  }

  /** Admits the first whose class the gate lets take one now, if there is one. */
  admitNext(gate: ClassGate): void {
    const [critical, standard, bulk] = [
      first(this.waiting.critical),
      first(this.waiting.standard),
      first(this.waiting.bulk),
    ];
    const others = [standard, bulk].sort((one, other) => (one?.arrival ?? 0) - (other?.arrival ?? 0));
    const next = [critical, ...others].find((place) => place && gate.tryTake(place.workClass));
    if (!next) return;
    this.leave(next);
    next.admit();
  }
}

function first(places: ReadonlySet<Place>): Place | undefined {
  return places.values().next().value;
}
