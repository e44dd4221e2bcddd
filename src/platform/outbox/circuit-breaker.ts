/** Leave to make one attempt; the first call of the three counts, later ones change nothing. */
export interface Permit {
  succeeded(): void;
  /** The other side is unwell. */
  failed(): void;
  /** The attempt said nothing about the other side, or was not made. */
  unused(): void;
}

const failuresToOpen = 5;
const firstPauseMs = 1_000;
const longestPauseMs = 30_000;

/**
 * Spares a side that is unwell, and our own attempts: after five failures in a row everyone waits, and after a pause (1 s,
 * doubled up to 30 s) one alone tries. Waiting costs neither an attempt nor a statement.
 */
export class CircuitBreaker {
  private failures = 0;
  private pauseMs = firstPauseMs;
  private timer: NodeJS.Timeout | undefined;
  private state: 'closed' | 'open' | 'half-open' | 'ended' = 'closed';
  private probing = false;
  private waiters: ((permit: Permit | undefined) => void)[] = [];

  /** @param onChange told when it opens (`true`) and closes */
  constructor(private readonly onChange: (isOpen: boolean) => void = () => undefined) {}

  /** Resolves with leave to try, possibly much later; with `undefined` when the breaker was ended meanwhile. */
  admit(): Promise<Permit | undefined> {
    if (this.state === 'closed') return Promise.resolve(this.permit(false));
    if (this.state === 'ended') return Promise.resolve(undefined);
    if (this.state === 'half-open' && !this.probing) return Promise.resolve(this.probe());
    return new Promise((resolve) => this.waiters.push(resolve));
  }

  /** Sends everyone away, for good. */
  end(): void {
    this.state = 'ended';
    clearTimeout(this.timer);
    for (const resolve of this.waiters.splice(0)) resolve(undefined);
  }

  private probe(): Permit {
    this.probing = true;
    return this.permit(true);
  }

  private permit(isProbe: boolean): Permit {
    let settled = false;
    const once = (settle: () => void) => () => {
      if (settled || this.state === 'ended') return;
      settled = true;
      settle();
    };
    return {
      succeeded: once(() => {
        this.failures = 0;
        if (isProbe) this.close();
      }),
      failed: once(() => {
        this.failures += 1;
        if (isProbe) this.open(Math.min(longestPauseMs, this.pauseMs * 2));
        else if (this.state === 'closed' && this.failures >= failuresToOpen) this.open(firstPauseMs);
      }),
      unused: once(() => {
        if (isProbe) this.nextProbe();
      }),
    };
  }

  private open(pauseMs: number): void {
    this.state = 'open';
    this.onChange(true);
    this.probing = false;
    this.pauseMs = pauseMs;
    this.timer = setTimeout(() => {
      this.state = 'half-open';
      this.nextProbe();
    }, pauseMs).unref();
  }

  private nextProbe(): void {
    this.probing = false;
    this.waiters.shift()?.(this.probe());
  }

  private close(): void {
    this.state = 'closed';
    this.onChange(false);
    this.probing = false;
    for (const resolve of this.waiters.splice(0)) resolve(this.permit(false));
  }
}
