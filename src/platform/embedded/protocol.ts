import type { Socket } from 'node:net';

/** What an app asks of the watchdog. */
export interface Wish {
  postgres: boolean;
  redis: boolean;
  durable: boolean;
  redisServerBin?: string;
}

export interface RunningServer {
  port: number;
  pid: number;
  /** The file, of mode 600, that holds the password. */
  passwordFile: string;
}

/** What runs now; also the content of `servers.json`. */
export interface ServersState {
  watchdogPid: number;
  postgres?: RunningServer;
  redis?: RunningServer;
}

export type ToWatchdog = { type: 'join'; token: string; wish: Wish } | { type: 'leave' };

export type FromWatchdog =
  | { type: 'log'; line: string }
  /** The join is done. */
  | { type: 'ready'; state: ServersState }
  /** A server came back with another pid, or is gone. */
  | { type: 'changed'; state: ServersState }
  | { type: 'failed'; message: string }
  /** The leave is done; the servers are stopped if nobody else uses them. */
  | { type: 'left' }
  /** Somebody ended the watchdog, and the servers with it. */
  | { type: 'bye' };

export type Message = ToWatchdog | FromWatchdog;

export function send(socket: Socket, message: Message): void {
  if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
}

/** Hands over each message of the peer: one JSON object a line. The peer is this same code, known by its token. */
export function receive<T extends Message>(socket: Socket, onMessage: (message: T) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      try {
        onMessage(JSON.parse(line) as T);
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    }
  });
}
