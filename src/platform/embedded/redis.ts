import { spawn, type ChildProcess } from 'node:child_process';
import { open } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { keptPassword, logFileOf, serverFile, serverFolder, type Ground } from './ground';
import { CommandFailed, endProcesses, messageOf, run, serverEnvironment, type EndingStep } from './processes';
import { fetchRedis } from './redis-packages';
import type { ManagedServer } from './supervisor';

const oldestVersion = 7;
const pingDeadlineMs = 1_000;

/** A redis-server that was run once and is new enough. */
export interface RedisBinary {
  command: string;
  /** Where its libraries lie, if not in the system's folders. */
  libraryPath?: string;
  description: string;
}

/** Redis (or Valkey): the one that was named, the one on the PATH, or the distribution's own, fetched into the data folder. */
export class EmbeddedRedis implements ManagedServer {
  readonly name = 'redis';
  readonly logFile: string;
  readonly passwordFile: string;
  readonly endingSteps: EndingStep[] = [
    { signal: 'SIGTERM', graceMs: 5_000 },
    { signal: 'SIGKILL', graceMs: 5_000 },
  ];
  private readonly folder: string;
  private readonly configFile: string;
  private binary?: RedisBinary;
  private password = '';

  constructor(
    private readonly ground: Ground,
    private readonly namedBinary: string | undefined,
    private readonly log: (line: string) => void,
  ) {
    this.logFile = logFileOf(ground.home, this.name);
    this.passwordFile = join(ground.home, 'redis.password');
    this.folder = join(ground.dir, 'redis');
    this.configFile = join(this.folder, 'redis.conf');
  }

  async evict(): Promise<void> {
    const ended = await endProcesses(({ command }) => command.endsWith(` ${this.configFile}`), this.endingSteps);
    if (ended.length > 0) this.log(`Stopped a redis of an earlier run (pid ${ended.join(', ')})`);
  }

  async prepare(): Promise<void> {
    await serverFolder(this.folder, this.ground);
    if (!this.binary) {
      this.binary = await this.findBinary();
      this.log(`redis: ${this.binary.description} (${this.binary.command})`);
    }
    this.password = (await keptPassword(this.passwordFile)).password;
  }

  async launch(port: number): Promise<ChildProcess> {
    if (!this.binary) throw new Error('prepare() comes before launch()');
    await serverFile(this.configFile, this.settings(port), this.ground);
    const log = await open(this.logFile, 'a', 0o600);
    try {
      return spawn(this.binary.command, [this.configFile], {
        ...this.ground.identity,
        cwd: this.folder,
        env: environmentOf(this.binary),
        stdio: ['ignore', log.fd, log.fd],
        detached: true,
        windowsHide: true,
      });
    } finally {
      await log.close();
    }
  }

  isReady(_pid: number, port: number): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port });
      let answer = '';
      const end = (ready: boolean) => {
        socket.destroy();
        resolve(ready);
      };
      socket.setEncoding('utf8').setTimeout(pingDeadlineMs, () => end(false));
      // Not yet listening is what this question is for, not an error.
      socket.once('error', () => end(false)).once('close', () => end(false));
      socket.once('connect', () => socket.write(`AUTH ${this.password}\r\nPING\r\n`));
      socket.on('data', (chunk: string) => {
        answer += chunk;
        if (answer.includes('+PONG')) end(true);
        else if (answer.includes('-')) end(false);
      });
    });
  }

  private settings(port: number): string {
    return [
      '# Written by Gatehouse at each start.',
      'bind 127.0.0.1',
      `port ${port}`,
      `requirepass ${this.password}`,
      'protected-mode yes',
      'daemonize no',
      `dir "${this.folder.replaceAll('\\', '/')}"`,
      'logfile ""',
      'appendonly no',
      'save ""',
      'maxmemory-policy noeviction',
      // Keeps the configuration file in the command line: how evict() knows it.
      'set-proc-title no',
      '',
    ].join('\n');
  }

  /** The first candidate that runs and is new enough. Throws with what was wrong with each, and what to do. */
  private async findBinary(): Promise<RedisBinary> {
    const complaints: string[] = [];
    const usable = async (candidate: RedisBinary) => {
      const complaint = await this.complaintAbout(candidate);
      if (complaint) complaints.push(complaint);
      return complaint === undefined;
    };
    if (this.namedBinary !== undefined) {
      const named = { command: this.namedBinary, description: 'as named by REDIS_SERVER_BIN' };
      if (await usable(named)) return named;
      // Somebody wants this one and no other.
      throw new Error(`REDIS_SERVER_BIN: ${complaints.join('; ')}`);
    }
    for (const name of ['redis-server', 'valkey-server']) {
      const command = await onPath(name);
      const candidate = { command: command ?? name, description: 'found on the PATH' };
      if (command === undefined) complaints.push(`${name} was not found on the PATH`);
      else if (await usable(candidate)) return candidate;
    }
    if (process.platform === 'linux') {
      const cache = join(this.ground.dir, 'cache', 'redis');
      for (const packageName of ['redis', 'valkey'] as const) {
        try {
          const fetched = await fetchRedis(cache, packageName, async (candidate) => usable(candidate), this.log);
          if (fetched) return fetched;
        } catch (error) {
          if (!(error instanceof CommandFailed)) throw error;
          complaints.push(error.message);
          if (error.notFound) break;
        }
      }
    }
    throw new Error(
      `No Redis >= ${oldestVersion}.0 could be had: ${complaints.join('; ')}. ${installHint()} ` +
        'Or set REDIS_SERVER_BIN to a redis-server, or run a Redis of your own and give Gatehouse its URL.',
    );
  }

  private async complaintAbout(candidate: RedisBinary): Promise<string | undefined> {
    try {
      const options = { identity: this.ground.identity, cwd: this.folder, env: environmentOf(candidate) };
      const printed = await run(candidate.command, ['--version'], options);
      const major = Number(/v=(\d+)/.exec(printed)?.[1] ?? 0);
      if (major >= oldestVersion) return undefined;
      return `${candidate.command} is too old (${printed.trim()})`;
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      return error.notFound ? `${candidate.command} was not found` : messageOf(error);
    }
  }
}

/** The absolute path of a program, so that it can be run with another environment than this process's. */
async function onPath(name: string): Promise<string | undefined> {
  if (process.platform === 'win32') return undefined;
  try {
    return (await run('/bin/sh', ['-c', 'command -v "$0"', name])).trim();
  } catch (error) {
    if (error instanceof CommandFailed) return undefined;
    throw error;
  }
}

function environmentOf({ libraryPath }: RedisBinary): Record<string, string> | undefined {
  return libraryPath ? { ...serverEnvironment, LD_LIBRARY_PATH: libraryPath } : serverEnvironment;
}

function installHint(): string {
  switch (process.platform) {
    case 'darwin':
      return 'Install it: brew install redis.';
    case 'win32':
      return 'Redis has no Windows build of its own: start Gatehouse in WSL 2 (wsl --install), or run Memurai or "docker run -p 6379:6379 redis:7".';
    default:
      return 'Install it: apt-get install redis-server (Debian, Ubuntu), dnf install valkey (Fedora, RHEL), apk add redis (Alpine), pacman -S valkey (Arch).';
  }
}
