import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { logFileOf, prepareGround, privateFile, readIfThere, trimLog, type Ground } from './ground';
import { EmbeddedPostgres } from './postgres';
import { messageOf } from './processes';
import { receive, send, type FromWatchdog, type ServersState, type ToWatchdog, type Wish } from './protocol';
import { EmbeddedRedis } from './redis';
import { claimWatchdog } from './registry';
import { Supervisor } from './supervisor';

/** So long the servers outlive the last app that went without a word: an app that starts again finds them warm. */
const lingerMs = 300;
const firstJoinDeadlineMs = 10_000;
const logTrimIntervalMs = 5_000;
const farewellMs = 1_000;

/**
 * The process that owns the servers of a data folder. Each app holds a connection to it; the kernel closes that
 * connection whatever kills the app, and with the last one the servers end.
 */
class Watchdog {
  private readonly users = new Set<Socket>();
  private readonly leavers = new Set<Socket>();
  private readonly token = randomBytes(24).toString('hex');
  private readonly listener = createServer((socket) => this.accept(socket));
  private readonly stateFile: string;
  private supervisors: { postgres?: Supervisor; redis?: Supervisor } = {};
  private ground?: Ground;
  private durable = true;
  private former?: ServersState;
  /** One thing at a time: a start that comes while the servers stop waits, and then starts them again. */
  private work: Promise<void> = Promise.resolve();
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly home: string) {
    this.stateFile = join(home, 'servers.json');
  }

  /** Listens, and then claims the folder; ends quietly when another watchdog has it. */
  async run(): Promise<void> {
    await new Promise<void>((listening, failed) => {
      this.listener.once('error', failed).listen({ host: '127.0.0.1', port: 0 }, listening);
    });
    const address = this.listener.address();
    if (typeof address !== 'object' || !address) throw new Error('no loopback address to listen on');
    if (!(await claimWatchdog(this.home, { pid: process.pid, port: address.port, token: this.token }))) process.exit(0);
    process.on('SIGTERM', () => this.endForAll('SIGTERM'));
    process.on('SIGINT', () => this.endForAll('SIGINT'));
    // The terminal it was started from may close; the apps decide when it ends.
    process.on('SIGHUP', () => undefined);
    setInterval(() => this.trimLogs(), logTrimIntervalMs);
    setTimeout(() => this.endIfUnused(), firstJoinDeadlineMs);
  }

  private accept(socket: Socket): void {
    socket.setNoDelay();
    socket.on('error', (error) => process.stderr.write(`an app's connection: ${error.message}\n`));
    socket.once('close', () => {
      this.leavers.delete(socket);
      if (this.users.delete(socket)) setTimeout(() => this.endIfUnused(), lingerMs);
    });
    receive<ToWatchdog>(socket, (message) => {
      if (message.type === 'join') this.join(socket, message.token, message.wish);
      else this.leave(socket);
    });
  }

  private join(socket: Socket, token: string, wish: Wish): void {
    if (token.length !== this.token.length || !timingSafeEqual(Buffer.from(token), Buffer.from(this.token))) {
      socket.destroy();
      return;
    }
    this.users.add(socket);
    this.enqueue(async () => {
      if (!this.users.has(socket)) return;
      try {
        await this.ensure(wish);
        send(socket, { type: 'ready', state: this.state() });
      } catch (error) {
        send(socket, { type: 'failed', message: messageOf(error) });
      }
    });
  }

  private leave(socket: Socket): void {
    if (!this.users.delete(socket)) return;
    if (this.users.size > 0) {
      send(socket, { type: 'left' });
      return;
    }
    this.leavers.add(socket);
    this.endIfUnused();
  }

  private async ensure(wish: Wish): Promise<void> {
    this.ground ??= await prepareGround(this.home, this.log);
    this.former ??= await this.readState();
    const { postgres, redis } = this.supervisors;
    if (wish.postgres && wish.durable && postgres?.running && !this.durable) {
      throw new Error(
        `The Postgres of ${this.home} runs without fsync, as the app that started it asked (durable: false), ` +
          'but this app asks for a durable one. Stop that app first, or use another data folder.',
      );
    }
    if (wish.postgres && !postgres?.running) {
      this.durable = wish.durable;
      const server = new EmbeddedPostgres(this.ground, wish.durable, this.log);
      await postgres?.stop();
      this.supervisors.postgres = new Supervisor(server, this.log, this.tellChange);
    }
    if (wish.redis && !redis?.running) {
      await redis?.stop();
      const server = new EmbeddedRedis(this.ground, wish.redisServerBin, this.log);
      this.supervisors.redis = new Supervisor(server, this.log, this.tellChange);
    }
    // Both are told of: a start that fails names all that is wrong with it.
    const outcomes = await Promise.allSettled([
      wish.postgres ? this.supervisors.postgres?.start(this.former?.postgres?.port) : undefined,
      wish.redis ? this.supervisors.redis?.start(this.former?.redis?.port) : undefined,
    ]);
    await this.writeState();
    const complaints = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [messageOf(outcome.reason)] : [],
    );
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
  }

  private endIfUnused(): void {
    this.enqueue(async () => {
      if (this.users.size === 0) await this.stopServers();
      if (this.users.size === 0) {
        this.exit({ type: 'left' });
        return;
      }
      // Somebody came meanwhile: the servers go on for him, and those who left need not wait.
      this.leavers.forEach((socket) => send(socket, { type: 'left' }));
      this.leavers.clear();
    });
  }

  private endForAll(signal: string): void {
    this.log(`The watchdog of the embedded servers got ${signal} and stops them`);
    this.enqueue(async () => {
      await this.stopServers();
      this.users.forEach((socket) => this.leavers.add(socket));
      this.exit({ type: 'bye' });
    });
  }

  private async stopServers(): Promise<void> {
    await Promise.all([this.supervisors.postgres?.stop(), this.supervisors.redis?.stop()]);
  }

  /** Nothing is awaited before the listener is closed: whoever comes later is refused, and starts a new watchdog. */
  private exit(farewell: FromWatchdog): void {
    this.listener.close();
    let waiting = this.leavers.size;
    if (waiting === 0) process.exit(0);
    setTimeout(() => process.exit(0), farewellMs);
    for (const socket of this.leavers) {
      send(socket, farewell);
      socket.end(() => (--waiting === 0 ? process.exit(0) : undefined));
    }
  }

  private enqueue(job: () => Promise<void>): void {
    this.work = this.work.then(job).catch((error: unknown) => this.log(`watchdog: ${messageOf(error)}`));
  }

  private readonly log = (line: string): void => {
    process.stderr.write(`${new Date().toISOString()} ${line}\n`);
    this.users.forEach((socket) => send(socket, { type: 'log', line }));
  };

  private readonly tellChange = (): void => {
    const state = this.state();
    this.users.forEach((socket) => send(socket, { type: 'changed', state }));
    this.writeState().catch((error: unknown) => this.log(`${this.stateFile}: ${messageOf(error)}`));
  };

  private state(): ServersState {
    const postgres = this.supervisors.postgres?.running;
    const redis = this.supervisors.redis?.running;
    return { watchdogPid: process.pid, ...(postgres && { postgres }), ...(redis && { redis }) };
  }

  /** Keeps the last place of a server that does not run now: it gets the same port again if that is free. */
  private writeState(): Promise<void> {
    this.former = { ...this.former, ...this.state() };
    const text = `${JSON.stringify(this.former, null, 2)}\n`;
    this.writing = this.writing.then(() => privateFile(this.stateFile, text));
    return this.writing;
  }

  private async readState(): Promise<ServersState | undefined> {
    const text = await readIfThere(this.stateFile);
    if (!text) return undefined;
    try {
      return JSON.parse(text) as ServersState;
    } catch (error) {
      this.log(`${this.stateFile} cannot be read (${messageOf(error)}): new ports are chosen`);
      return undefined;
    }
  }

  private trimLogs(): void {
    for (const name of ['watchdog', 'postgres', 'redis']) {
      const file = logFileOf(this.home, name);
      trimLog(file).catch((error: unknown) => process.stderr.write(`${file}: ${messageOf(error)}\n`));
    }
  }
}

const [, , home] = process.argv;
if (home === undefined || resolve(home) !== home) throw new Error('usage: node watchdog.js <absolute data folder>');
new Watchdog(home).run().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exit(1);
});
