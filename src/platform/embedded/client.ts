import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, open, realpath, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname, join, sep } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { logFileOf } from './ground';
import { errorCode, messageOf, processEntry, sizeOf, tailOf } from './processes';
import { receive, send, type FromWatchdog, type ServersState, type Wish } from './protocol';
import { findWatchdog, type WatchdogRecord } from './registry';

const reachDeadlineMs = 20_000;
const reachPollMs = 10;
/** The longest: Postgres may first recover, and Redis be downloaded. */
const readyDeadlineMs = 180_000;
const leaveDeadlineMs = 40_000;

/** An app's hold on the servers of a data folder. As long as it lives, they run. */
export class WatchdogClient {
  private socket?: Socket;
  private leaving = false;
  private current?: ServersState;
  private onLeft: () => void = () => undefined;

  private constructor(
    private readonly home: string,
    private readonly wish: Wish,
    private readonly log: (line: string) => void,
    private readonly onAsked: () => void,
  ) {}

  /** Joins the watchdog of the folder, starting it if there is none. Throws with what hindered the servers' start. */
  static async join(
    dataDir: string,
    wish: Wish,
    log: (line: string) => void,
    onAsked: () => void,
  ): Promise<WatchdogClient> {
    const client = new WatchdogClient(await prepareHome(dataDir), wish, log, onAsked);
    await client.enter();
    return client;
  }

  get state(): ServersState {
    if (!this.current) throw new Error('the servers are not started');
    return this.current;
  }

  /** Gives the servers up; resolves when they are stopped, or when it is sure that others still use them. */
  async leave(): Promise<void> {
    if (this.leaving) return;
    this.leaving = true;
    const socket = this.socket;
    if (!socket || socket.destroyed) return;
    socket.ref();
    const left = new Promise<boolean>((resolve) => (this.onLeft = () => resolve(true)));
    send(socket, { type: 'leave' });
    const inTime = await Promise.race([left, pause(leaveDeadlineMs, false, { ref: false })]);
    socket.destroy();
    if (!inTime)
      throw new Error(`The embedded servers did not stop within ${leaveDeadlineMs / 1_000} s; see ${this.home}/logs`);
  }

  private async enter(): Promise<void> {
    const deadline = Date.now() + readyDeadlineMs;
    let entered = false;
    while (!entered) {
      if (Date.now() > deadline) throw new Error(`The embedded servers did not start in time; see ${this.home}/logs`);
      const { socket, token } = await reachWatchdog(this.home);
      entered = await this.askFor(socket, token);
    }
  }

  /** False when the watchdog ended before it answered, as one does that was just about to end. */
  private askFor(socket: Socket, token: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        reject(
          new Error(`The embedded servers did not start within ${readyDeadlineMs / 1_000} s; see ${this.home}/logs`),
        );
        socket.destroy();
      }, readyDeadlineMs);
      let entered = false;
      receive<FromWatchdog>(socket, (message) => {
        if (message.type === 'ready') {
          entered = true;
          clearTimeout(late);
          this.socket = socket.unref();
          resolve(true);
        } else if (message.type === 'failed') {
          clearTimeout(late);
          reject(new Error(message.message));
          socket.destroy();
        }
        this.note(message);
      });
      // Whatever breaks a connection also closes it.
      socket.on('error', () => undefined);
      socket.once('close', () => {
        clearTimeout(late);
        if (!entered) resolve(false);
        else this.lost();
      });
      send(socket, { type: 'join', token, wish: this.wish });
      this.onAsked();
    });
  }

  private note(message: FromWatchdog): void {
    switch (message.type) {
      case 'log':
        this.log(message.line);
        return;
      case 'ready':
      case 'changed':
        this.current = message.state;
        return;
      case 'left':
        this.onLeft();
        return;
      case 'bye':
        this.leaving = true;
        this.onLeft();
        this.log('The embedded servers were stopped from outside');
        return;
      case 'failed':
        return;
    }
  }

  /** The watchdog died while this app lives: a new one takes its place, and starts the servers anew on their ports. */
  private lost(): void {
    this.onLeft();
    if (this.leaving) return;
    this.log('The watchdog of the embedded servers died; starting another');
    const before = this.state;
    this.enter().then(
      () => {
        if (this.leaving) this.socket?.destroy();
        const moved =
          this.state.postgres?.port !== before.postgres?.port || this.state.redis?.port !== before.redis?.port;
        if (moved) this.log('The embedded servers are back on OTHER ports. Start this app anew.');
      },
      (error: unknown) => this.log(messageOf(error)),
    );
  }
}

/** The folder, made if need be, in the one spelling that all its users share. */
async function prepareHome(dataDir: string): Promise<string> {
  await mkdir(join(dataDir, 'logs'), { recursive: true });
  const home = await realpath(dataDir);
  const { uid } = await stat(home);
  const me = process.getuid?.();
  if (me !== undefined && uid !== me) {
    throw new Error(
      `${home} belongs to the user with uid ${uid}, but this app runs with uid ${me}. ` +
        'Start it as that user, or choose another data folder.',
    );
  }
  await chmod(join(home, 'logs'), 0o700);
  return home;
}

async function reachWatchdog(home: string): Promise<{ socket: Socket; token: string }> {
  const logFile = logFileOf(home, 'watchdog');
  const logStart = await sizeOf(logFile);
  const deadline = Date.now() + reachDeadlineMs;
  let launched: number | undefined;
  while (Date.now() < deadline) {
    const record = await findWatchdog(home);
    const socket = record && (await connectTo(record));
    if (socket) return { socket, token: record.token };
    if (!record && (launched === undefined || !(await processEntry(launched)))) {
      launched = await launchWatchdog(home, logFile);
    }
    await pause(reachPollMs);
  }
  const record = await findWatchdog(home);
  const cause = record
    ? `its process ${record.pid} lives but does not answer; end it: kill -9 ${record.pid}`
    : await tailOf(logFile, logStart);
  throw new Error(`The watchdog of the embedded servers cannot be reached: ${cause} (log: ${logFile})`);
}

function connectTo(record: WatchdogRecord): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: record.port, noDelay: true });
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (error) => {
      // It is about to end.
      if (['ECONNREFUSED', 'ECONNRESET'].includes(errorCode(error))) resolve(undefined);
      else reject(error);
    });
  });
}

/**
 * Starts the watchdog in a session of its own, so that Ctrl-C in the terminal reaches the app alone, and as nobody's
 * child: `nest start --watch` kills the whole tree below the app (by parent pid) before it starts it again.
 */
async function launchWatchdog(home: string, logFile: string): Promise<number | undefined> {
  const command = [process.execPath, watchdogScript(), home];
  const log = await open(logFile, 'a', 0o600);
  try {
    if (process.platform === 'win32') {
      const [node = '', ...args] = command;
      const child = spawn(node, args, { detached: true, windowsHide: true, stdio: ['ignore', log.fd, log.fd] });
      child.unref();
      return child.pid;
    }
    return await new Promise((resolve, reject) => {
      const shell = spawn('/bin/sh', ['-c', '"$@" >&2 & echo $!', 'sh', ...command], {
        cwd: '/',
        detached: true,
        stdio: ['ignore', 'pipe', log.fd],
      });
      let pid = '';
      shell.stdout?.on('data', (chunk: Buffer) => (pid += chunk.toString()));
      shell.once('error', reject).once('close', () => resolve(Number(pid)));
    });
  } finally {
    await log.close();
  }
}

/** The compiled watchdog; code that runs from `src` (Jest) uses the one in `dist`. */
function watchdogScript(): string {
  const beside = join(__dirname, 'watchdog.js');
  const below = __dirname.lastIndexOf(`${sep}src${sep}`);
  const root = __dirname.slice(0, below);
  const built = [join('dist', __dirname.slice(below + 5)), join('dist', __dirname.slice(below + 1))];
  const found = [beside, ...(below < 0 ? [] : built.map((folder) => join(root, folder, 'watchdog.js')))].find((file) =>
    existsSync(file),
  );
  if (!found) throw new Error(`The watchdog is not compiled (${dirname(beside)}). Run "npm run build".`);
  return found;
}
