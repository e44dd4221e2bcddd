import { pino, type DestinationStream } from 'pino';

const blockLength = 4_096;
const longestMs = 500;

/**
 * Writes lines to a file descriptor in blocks, since a write for each would cost as much as the request it tells of. A line
 * waits for half a second at most, and is written when the process ends, unless it is killed.
 *
 * (pino's own destination can gather lines, too. It measures all that it has with each new one, for which the text is made
 * anew each time: 8.7 kB of garbage a line, a fifth of what a refused request left.)
 */
export class LineBlocks implements DestinationStream {
  private block = '';
  private readonly file;

  /** @param dest number of an open descriptor, or a path */
  constructor(dest: number | string = 1) {
    this.file = pino.destination({ dest, sync: false });
    setInterval(() => this.flush(), longestMs).unref();
    // Before what pino does then with what it was given.
    process.prependListener('beforeExit', () => this.flush());
    process.prependListener('exit', () => this.flush());
  }

  write(line: string): void {
    this.block += line;
    if (this.block.length >= blockLength) this.flush();
  }

  /** Writes what waits before it returns. */
  flushSync(): void {
    this.flush();
    this.file.flushSync();
  }

  private flush(): void {
    if (this.block === '') return;
    const { block } = this;
    this.block = '';
    this.file.write(block);
  }
}
