import { Injectable } from '@nestjs/common';
import { performance } from 'node:perf_hooks';

/** For so long after the last of it, critical work is near: where some comes, more comes. */
const nearForMs = 100;

/**
 * The critical work of known callers, which the other classes give way to. A stranger's does not count: whoever asks for
 * `/health/live` ten times a second would else hold everybody else back.
 */
@Injectable()
export class CriticalWork {
  private underWay = 0;
  private lastAt = -Infinity;
  private listener = (): void => undefined;

  begin(): void {
    this.underWay += 1;
  }

  end(): void {
    this.underWay -= 1;
    this.lastAt = performance.now();
    this.listener();
  }

  /** Whether some is under way, or was just now. */
  get isNear(): boolean {
    return this.underWay > 0 || performance.now() - this.lastAt < nearForMs;
  }

  /** @param listener told whenever one has ended */
  onEnd(listener: () => void): void {
    this.listener = listener;
  }
}
