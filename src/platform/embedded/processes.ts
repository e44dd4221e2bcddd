import { execFile } from 'node:child_process';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** The user whom the servers run as, where that is not the user of this process. */
export interface Identity {
  uid: number;
  gid: number;
}

export interface ProcessEntry {
  pid: number;
  /** The command line, its words joined by single blanks. */
  command: string;
}

/** One step of an ending: the signal, and how long it may take to work. */
export interface EndingStep {
  signal: NodeJS.Signals;
  graceMs: number;
}

const pollMs = 10;
const commandDeadlineMs = 120_000;

/** What a server sees of the environment: nothing of the app's secrets. Windows programs need theirs. */
export const serverEnvironment =
  process.platform === 'win32' ? undefined : { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/** A command that could not be run or that ended with an error; the message carries what it printed. */
export class CommandFailed extends Error {
  constructor(
    command: string,
    readonly reason: string,
    readonly notFound: boolean,
  ) {
    super(`${command}: ${reason}`);
  }
}

export interface RunOptions {
  identity?: Identity;
  env?: Record<string, string>;
  cwd?: string;
}

/** Runs a command to its end and gives what it printed. Throws CommandFailed. */
export function run(command: string, args: string[], options: RunOptions = {}): Promise<string> {
  const { identity, ...rest } = options;
  return new Promise((resolve, reject) => {
    execFile(
      command,
      args,
      { ...rest, ...identity, maxBuffer: 64 * 1024 * 1024, timeout: commandDeadlineMs, windowsHide: true },
      (error, stdout, stderr) => {
        if (!error) {
          resolve(stdout);
          return;
        }
        const reason = [stderr.trim(), stdout.trim(), error.message].find((text) => text !== '') ?? 'failed';
        reject(new CommandFailed(basename(command), reason, errorCode(error) === 'ENOENT'));
      },
    );
  });
}

/** The servers refuse to run as root, so root runs them as `nobody`; anyone else as himself (undefined). */
export async function serverIdentity(): Promise<Identity | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const passwd = await readFile('/etc/passwd', 'utf8');
  const [, , uid, gid] = /^nobody:.*$/m.exec(passwd)?.[0].split(':') ?? [];
  if (uid === undefined || gid === undefined) {
    throw new Error(
      'The embedded servers do not run as root, and /etc/passwd has no user "nobody" to run them as. ' +
        'Start Gatehouse as an ordinary user, or give it the URLs of servers of your own.',
    );
  }
  // macOS writes nobody as -2; the system calls want it unsigned.
  return { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
}

/** All processes of this machine that may be seen, without zombies. */
export async function listProcesses(): Promise<ProcessEntry[]> {
  if (process.platform === 'linux') {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const entries = await Promise.all(pids.map((pid) => processEntry(Number(pid))));
    return entries.filter((entry) => entry !== undefined);
  }
  const table =
    process.platform === 'win32'
      ? await run('powershell', [
          '-NoProfile',
          '-Command',
          'Get-CimInstance Win32_Process | ForEach-Object { "$($_.ProcessId) $($_.CommandLine)" }',
        ])
      : await run('ps', ['-A', '-ww', '-o', 'pid=,command=']);
  return table.split(/\r?\n/).flatMap((line) => {
    const [, pid, command] = /^\s*(\d+)\s+(.+)$/.exec(line) ?? [];
    return pid !== undefined && command !== undefined ? [{ pid: Number(pid), command }] : [];
  });
}

/** The command line of a process; undefined when it is gone or a zombie. */
export async function processEntry(pid: number): Promise<ProcessEntry | undefined> {
  if (process.platform !== 'linux') return (await listProcesses()).find((entry) => entry.pid === pid);
  try {
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim();
    return command === '' ? undefined : { pid, command };
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(errorCode(error))) return undefined;
    throw error;
  }
}

/** Ends every process that `matches`, step by step. Throws when one survives the last step. */
export async function endProcesses(matches: (entry: ProcessEntry) => boolean, steps: EndingStep[]): Promise<number[]> {
  const found = async () => (await listProcesses()).filter(matches).map((entry) => entry.pid);
  const first = await found();
  let left = first;
  for (const { signal, graceMs } of steps) {
    if (left.length === 0) return first;
    left.forEach((pid) => sendSignal(pid, signal));
    await until(async () => (left = await found()).length === 0, graceMs);
  }
  if (left.length > 0) {
    throw new Error(
      `Processes ${left.join(', ')} of an earlier run do not end. End them by hand: kill -9 ${left.join(' ')}`,
    );
  }
  return first;
}

/** Signals a process; one that is already gone is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

/** Polls until the condition holds; false when it does not within the deadline. */
export async function until(condition: () => Promise<boolean>, deadlineMs: number): Promise<boolean> {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() >= end) return false;
    await pause(pollMs);
  }
  return true;
}

/** The code of a system error (`ENOENT`), or ''. */
export function errorCode(error: unknown): string {
  // Not `instanceof Error`: under Jest, Node's own errors come from another realm.
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What a file holds from `offset` on, at most its last `maxBytes`; '' when there is no file. */
export async function tailOf(file: string, offset = 0, maxBytes = 4_096): Promise<string> {
  const size = await sizeOf(file);
  const from = Math.min(Math.max(offset, size - maxBytes), size);
  if (size === 0) return '';
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - from), 0, size - from, from);
    return buffer.toString('utf8', 0, bytesRead).trim();
  } finally {
    await handle.close();
  }
}

/** Bytes of a file; 0 when there is none. */
export async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
