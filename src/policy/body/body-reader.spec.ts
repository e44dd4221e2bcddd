import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { PolicyRefusal } from '../errors/policy-refusal';
import { readBody } from './body-reader';

const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"half":';

describe('the reader of a body', () => {
  let server: Server;
  beforeAll(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  const sockets: Socket[] = [];
  afterAll(async () => {
    // One that ended only its own side stays open until its owner destroys it.
    for (const socket of sockets) socket.destroy();
    const closed = once(server, 'close');
    server.close();
    await closed;
  });

  /** Sends half a body; gives what the server made of it, and the request it made it of. */
  const reading = async () => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => undefined);
    const arrived = once(server, 'request') as Promise<Parameters<typeof readBody>>;
    socket.write(head);
    const [request, response] = await arrived;
    const before = listeners(request);
    return { socket, request, response, before, outcome: readBody(request, response, 1_000) };
  };

  it.each([
    ['closes', (socket: Socket) => socket.destroy()],
    ['resets', (socket: Socket) => socket.resetAndDestroy()],
    ['ends its side of', (socket: Socket) => socket.end()],
  ])('gives up when the client %s the connection, and leaves no listener behind', async (_, leave) => {
    const { socket, request, before, outcome } = await reading();
    leave(socket);
    await expect(outcome).rejects.toMatchObject({ code: 'request_aborted', status: 400 });
    expect(listeners(request)).toBe(before);
  });

  it('gives up at once on a request that is gone already', async () => {
    const { socket, request, response, outcome } = await reading();
    socket.destroy();
    await expect(outcome).rejects.toBeInstanceOf(PolicyRefusal);
    await expect(readBody(request, response, 1_000)).rejects.toMatchObject({ code: 'request_aborted' });
  });

  it('puts the pieces together, and leaves no listener behind', async () => {
    const { socket, request, response, before, outcome } = await reading();
    socket.write('x'.repeat(50));
    await once(request, 'data');
    socket.write('y'.repeat(42));
    expect((await outcome).toString()).toBe(`{"half":${'x'.repeat(50)}${'y'.repeat(42)}`);
    expect(listeners(request)).toBe(before);
    response.end();
    socket.destroy();
  });
});

function listeners(request: IncomingMessage): number {
  return request.eventNames().reduce((sum, name) => sum + request.listenerCount(name), 0);
}
