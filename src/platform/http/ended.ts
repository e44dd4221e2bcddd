import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What is to be done for the responses of a connection that have not ended. */
const pending = new WeakMap<Socket, (() => void)[]>();

/**
 * Calls `then` once: when the response was sent, or will not be. Not with `close` alone: a response that stands behind another
 * one of its connection (HTTP pipelining) never closes where the connection does.
 */
export function onceEnded(response: ServerResponse, then: () => void): void {
  const { socket } = response.req;
  const ends = endsOf(socket);
  const end = () => {
    const place = ends.indexOf(end);
    if (place < 0) return;
    ends.splice(place, 1);
    then();
  };
  ends.push(end);
  if (socket.closed) process.nextTick(end);
  else response.once('close', end);
}

/** Apart from what uses it: the connection's listener would hold all that its function sees, the first response for one. */
function endsOf(socket: Socket): (() => void)[] {
  const known = pending.get(socket);
  if (known) return known;
  const ends: (() => void)[] = [];
  pending.set(socket, ends);
  socket.once('close', () => [...ends].forEach((end) => end()));
  return ends;
}
