import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtDir } from './places';
import type { World } from './world';

/** The time of a world's processes, which stands still until a test moves it. */
export class HeldClock {
  private readonly file: string;
  private millis = Date.now();

  constructor({ environment }: World) {
    this.file = join(environment.DATA_DIR ?? '', 'clock');
    this.write();
  }

  /** The variables that put a process under this clock. */
  get environment(): Record<string, string> {
    const preload = join(__dirname, 'hold-clock-in-process.cjs');
    return { CLOCK_FILE: this.file, CLOCK_BUILT_DIR: builtDir, NODE_OPTIONS: `--require ${preload}` };
  }

  /** Every reading from now on says the new time. */
  advance(millis: number): void {
    this.millis += millis;
    this.write();
  }

  private write(): void {
    // In one step, so that no process reads half of it.
    writeFileSync(`${this.file}.new`, String(this.millis));
    renameSync(`${this.file}.new`, this.file);
  }
}
