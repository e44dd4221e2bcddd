import type { IncomingMessage, ServerResponse } from 'node:http';

/** How long the rest of a refused body is thrown away before the connection is cut. */
const lingerMs = 2_000;

/**
 * Makes the answer to a body that is not wanted arrive. A socket that is closed with unread bytes in it sends a reset,
 * which discards the answer before a client that is still sending has read it (RFC 9112 §9.6): so the answer says
 * `Connection: close`, the sending side is closed behind it, and what still comes is read and dropped until the client
 * closes, for two seconds at most.
 */
export function closeGently(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  response.setHeader('Connection', 'close');
  // Node calls this once the answer is flushed, and would close the socket there and then.
  socket.destroySoon = () => {
    socket.end();
    const cut = setTimeout(() => socket.destroy(), lingerMs);
    socket.once('close', () => clearTimeout(cut));
  };
  // Nobody listens for the data any more: it flows into nothing.
  request.resume();
}
