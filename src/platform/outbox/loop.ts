import type { Clock } from '../config';
import type { Log } from '../telemetry';

/** What a turn of a loop says of the next one. */
export type Turn = 'again' | 'soon' | 'idle';

const shortestPauseMs = 50;
const longestPauseMs = 1_000;
/** A step that takes so long hangs: each is one batch, and a queue has two seconds to answer. */
const hangsAfterMs = 10_000;

/**
 * Repeats a step until it is stopped: at once while there is more to do; when idle, in growing intervals of 50 ms to 1 s,
 * so that work whose transaction was about to commit when the wake-up came is found soon after.
 */
export class Loop {
  private stopping = false;
  private woken = false;
  private failing = false;
  private stepBeganAt: number | undefined;
  private end: Promise<void> | undefined;
  private endPause: () => void = () => undefined;

  constructor(
    private readonly name: string,
    private readonly step: () => Promise<Turn>,
    private readonly log: Log,
    private readonly clock: Clock,
    private readonly longestMs = longestPauseMs,
  ) {}

  start(): void {
    this.end ??= this.run();
  }

  /** Whether its last step succeeded, and the one that runs does not hang. */
  get isWell(): boolean {
    const { failing, stepBeganAt } = this;
    return !failing && (stepBeganAt === undefined || this.clock.now() - stepBeganAt < hangsAfterMs);
  }

  /** Ends the pause, if there is one, and begins with short pauses anew. */
  wake(): void {
    this.woken = true;
    this.endPause();
  }

  /** Lets the current step end. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.endPause();
    await this.end;
  }

  private async run(): Promise<void> {
    let pauseMs = shortestPauseMs;
    while (!this.stopping) {
      let turn: Turn = 'idle';
      try {
        this.stepBeganAt = this.clock.now();
        turn = await this.step();
        this.failing = false;
      } catch (error) {
        // Once, not once a second, for as long as a server is away.
        if (!this.failing) this.log.warn({ err: error, loop: this.name }, 'A step failed and will be repeated');
        this.failing = true;
      }
      this.stepBeganAt = undefined;
      const woken = this.wasWoken();
      if (woken || turn !== 'idle') pauseMs = shortestPauseMs;
      if (turn === 'again' || (woken && !this.failing)) continue;
      await this.pause(pauseMs);
      pauseMs = this.wasWoken() ? shortestPauseMs : Math.min(this.longestMs, pauseMs * 2);
    }
  }

  /** Whether somebody called since it was asked last. */
  private wasWoken(): boolean {
    const { woken } = this;
    this.woken = false;
    return woken;
  }

  private pause(millis: number): Promise<void> {
    if (this.stopping) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.endPause(), millis);
      this.endPause = () => {
        clearTimeout(timer);
        this.endPause = () => undefined;
        resolve();
      };
    });
  }
}
