import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** A way to a server on which every byte arrives, in order, and none sooner than a test allows. */
export class SlowWay {
  /** By how much, at least, what is sent from now on is late, in each direction. */
  lateMs = 0;
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly to: URL,
    private readonly server: Server,
  ) {
    server.on('connection', (client) => this.join(client));
  }

  static async start(url: string): Promise<SlowWay> {
    const server = createServer({ noDelay: true });
    const way = new SlowWay(new URL(url), server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return way;
  }

  /** The server's address, by this way. */
  get url(): string {
    const { port } = this.server.address() as AddressInfo;
    return Object.assign(new URL(this.to), { hostname: '127.0.0.1', port: String(port) }).href;
  }

  /** Breaks all connections and takes no more. */
  end(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private join(client: Socket): void {
    const server = connect({ host: this.to.hostname, port: Number(this.to.port), noDelay: true });
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    }
    const late = (bytes: AsyncIterable<Buffer>) => this.late(bytes);
    // When one side breaks, so does the other: that is how its client learns of it.
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      pipeline(from, late, to).catch(() => [client, server].forEach((socket) => socket.destroy()));
    }
  }

  private async *late(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of bytes) {
      if (this.lateMs > 0) await pause(this.lateMs);
      yield chunk;
    }
  }
}
