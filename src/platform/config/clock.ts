/** The time of this process. Injected wherever time decides something, so that a test can move it. */
export class Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number {
    return Date.now();
  }
}

/** A clock that stands still until a test moves it. */
export class ManualClock extends Clock {
  constructor(private millis: number = Date.now()) {
    super();
  }

  override now(): number {
    return this.millis;
  }

  /** Moves the time by that many milliseconds; negative moves it back. */
  advance(millis: number): void {
    this.millis += millis;
  }
}
