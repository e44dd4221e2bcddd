import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, sendSignal, sizeOf, tailOf, until, type EndingStep } from './processes';

/** A server that a supervisor keeps running: what differs between Postgres and Redis. */
export interface ManagedServer {
  readonly name: 'postgres' | 'redis';
  readonly logFile: string;
  readonly passwordFile: string;
  /** How it is asked to stop, politely first. */
  readonly endingSteps: EndingStep[];
  /** Ends what an earlier run, or a crash, left behind, so that the data folder is free. */
  evict(): Promise<void>;
  /** Makes binaries, data folder and password; may be repeated. */
  prepare(): Promise<void>;
  launch(port: number): Promise<ChildProcess>;
  isReady(pid: number, port: number): Promise<boolean>;
}

const readyDeadlineMs = 60_000;
const portAttempts = 5;
const crashWindowMs = 60_000;
const crashLimit = 5;
const firstRestartDelayMs = 100;

/** Starts one server, brings it back on the same port when it dies, and gives up on one that keeps dying. */
export class Supervisor {
  private child?: ChildProcess;
  private usedPort?: number;
  private crashes: number[] = [];
  private restarting?: Promise<void>;
  private stopping = false;

  constructor(
    private readonly server: ManagedServer,
    private readonly log: (line: string) => void,
    private readonly onChange: () => void,
  ) {}

  /** The port and the process, while it runs. */
  get running(): { port: number; pid: number; passwordFile: string } | undefined {
    const pid = this.child?.pid;
    if (pid === undefined || this.usedPort === undefined) return undefined;
    return { port: this.usedPort, pid, passwordFile: this.server.passwordFile };
  }

  /** Starts the server unless it runs; on the wanted port if that is free. Throws with the end of the server's log. */
  async start(wantedPort?: number): Promise<void> {
    await this.restarting;
    if (this.running) return;
    this.stopping = false;
    this.crashes = [];
    await this.server.evict();
    await this.server.prepare();
    let port = this.usedPort ?? (await freePort(wantedPort));
    for (let attempt = 1; ; attempt++) {
      try {
        await this.launch(port);
        return;
      } catch (error) {
        // Between the choice of a port and the server's bind, another process may have taken it.
        if (attempt === portAttempts || !/address already in use|could not bind/i.test(messageOf(error))) throw error;
        port = await freePort();
      }
    }
  }

  /** Stops the server, also one that is about to come back. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.restarting;
    const child = this.child;
    if (!child) return;
    await endChild(child, this.server.endingSteps);
    this.child = undefined;
  }

  private async launch(port: number): Promise<ChildProcess> {
    const logStart = await sizeOf(this.server.logFile);
    const child = await this.server.launch(port);
    let failure: Error | undefined;
    child.once('error', (error) => (failure = error));
    const ready = await until(async () => {
      if (failure || hasEnded(child) || this.stopping) return true;
      return child.pid !== undefined && (await this.server.isReady(child.pid, port));
    }, readyDeadlineMs);
    if (!ready || this.stopping) await endChild(child, this.server.endingSteps);
    if (failure || hasEnded(child)) {
      const cause = failure?.message ?? (await tailOf(this.server.logFile, logStart));
      throw new Error(`${this.server.name} did not start: ${cause || how(child)} (log: ${this.server.logFile})`);
    }
    this.child = child;
    this.usedPort = port;
    child.once('exit', () => this.crashed(child));
    if (hasEnded(child)) this.crashed(child);
    this.onChange();
    return child;
  }

  private crashed(child: ChildProcess): void {
    if (this.child !== child || this.stopping) return;
    this.child = undefined;
    this.log(`${this.server.name} (pid ${child.pid}) ended by itself: ${how(child)}`);
    this.onChange();
    this.restarting = this.bringBack().finally(() => (this.restarting = undefined));
  }

  /** A question, not a field: the answer changes while something is awaited. */
  private isStopping(): boolean {
    return this.stopping;
  }

  private async bringBack(): Promise<void> {
    while (!this.isStopping() && !this.running) {
      const now = Date.now();
      this.crashes = [...this.crashes.filter((at) => at > now - crashWindowMs), now];
      if (this.crashes.length >= crashLimit) {
        this.log(
          `${this.server.name} ended ${crashLimit} times within ${crashWindowMs / 1_000} s and is NOT started again. ` +
            `See ${this.server.logFile}, then start Gatehouse anew.`,
        );
        return;
      }
      await pause(firstRestartDelayMs * 2 ** (this.crashes.length - 1));
      if (this.isStopping()) return;
      try {
        await this.server.evict();
        const { pid } = await this.launch(this.usedPort ?? (await freePort()));
        this.log(`${this.server.name} is back (pid ${pid}, port ${this.usedPort})`);
      } catch (error) {
        if (!this.isStopping()) this.log(messageOf(error));
      }
    }
  }
}

async function endChild(child: ChildProcess, steps: EndingStep[]): Promise<void> {
  for (const { signal, graceMs } of steps) {
    if (child.pid === undefined || hasEnded(child)) return;
    sendSignal(child.pid, signal);
    await until(async () => Promise.resolve(hasEnded(child)), graceMs);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function how(child: ChildProcess): string {
  return child.signalCode ? `killed by ${child.signalCode}` : `exit code ${child.exitCode}`;
}

/** The wanted port of 127.0.0.1 if it is free, else one that the system chooses. */
async function freePort(wanted = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error) => {
      if (wanted === 0) reject(error);
      else resolve(freePort());
    });
    probe.listen({ host: '127.0.0.1', port: wanted }, () => {
      const address = probe.address();
      const port = typeof address === 'object' && address ? address.port : wanted;
      probe.close(() => resolve(port));
    });
  });
}
