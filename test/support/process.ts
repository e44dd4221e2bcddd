import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { builtDir, root } from './places';
import { until } from './until';

/** Who a process runs as; whoever runs the tests unless named. */
interface User {
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** A process of the application, started as an operator would start it. */
export class GateProcess {
  private output = '';
  private readonly exited: Promise<number | NodeJS.Signals>;

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.exited = once(child, 'exit').then(([code, signal]) => (signal ?? code) as number | NodeJS.Signals);
  }

  /** Starts `main.js` with these variables and nothing else of ours; resolves when it is ready. */
  static async start(
    environment: Record<string, string>,
    dist: string = builtDir,
    user: User = {},
  ): Promise<GateProcess> {
    const gate = GateProcess.spawn(environment, dist, user);
    await until(
      () => gate.output.includes('ready as') || gate.child.exitCode !== null,
      60_000,
      () => `no start:\n${gate.output}`,
    );
    if (gate.child.exitCode !== null) throw new Error(`The process ended at its start:\n${gate.output}`);
    return gate;
  }

  /** As `start`, without waiting. */
  static spawn(environment: Record<string, string>, dist: string = builtDir, user: User = {}): GateProcess {
    const child = spawn(process.execPath, [join(dist, 'main.js')], {
      ...user,
      cwd: root,
      env: { PATH: process.env.PATH, NODE_ENV: 'test', PORT: '0', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new GateProcess(child);
  }

  /** Everything it wrote so far: progress and structured log lines. */
  get log(): string {
    return this.output;
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('The process never started');
    return this.child.pid;
  }

  /** Where it answers. */
  get url(): string {
    const found = /(?:API|health)\s+(http:\/\/[^/\s]+)/.exec(this.output)?.[1];
    if (found === undefined) throw new Error(`The process told no address:\n${this.output}`);
    return found;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Sends the signal and waits for the end; tells the exit code, or the signal that ended it. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals> {
    this.child.kill(signal);
    return this.exited;
  }

  /** Waits for the end. */
  async ended(): Promise<number | NodeJS.Signals> {
    return this.exited;
  }
}
