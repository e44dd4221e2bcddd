import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerOptions, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Config } from '../../platform/config';
import { PolicyRefusal } from '../errors/policy-refusal';
import { problemOf } from '../errors/problem';
import { send } from '../errors/problems';
import type { GateRequest } from '../request-state';

/** How Node's HTTP server is to be set up, so that what never becomes a request is bounded and answered, too. */
export interface ServerLimits {
  /** For `http.createServer`. */
  readonly options: ServerOptions;
  /** For the server's `clientError`. */
  readonly onClientError: (error: NodeJS.ErrnoException, socket: Duplex) => void;
  /**
   * For the server's `checkContinue` and `checkExpectation`. Hands the request on: the firewall refuses an expectation that
   * is unknown, and `BodyGuard` asks for the body where it wants one. After any other answer the connection is closed, whose
   * next bytes could be the body or another request (RFC 9110 §10.1.1).
   */
  readonly onExpectation: (request: IncomingMessage, response: ServerResponse) => void;
}

/** How long the rest of an unreadable request is thrown away, so that the client reads why before the reset. */
const lingerMs = 2_000;
/** How exactly the request timeout is kept: Node looks at all connections that often. */
const checkEveryMs = 500;
/** Behind the usual idle timeout of a load balancer (60 s), which must be the one that closes first. */
const keepAliveMs = 65_000;

/** The answer on the socket that Node's own handler of client errors looks at, too; it has no public name. */
type Answering = Duplex & { readonly _httpMessage?: (ServerResponse & { readonly req: IncomingMessage }) | null };

/** The limits of the HTTP server itself, from the firewall's settings. */
export function serverLimits(config: Config): ServerLimits {
  const timeoutMs = config.get('FIREWALL_REQUEST_TIMEOUT_MS');
  const maxTargetBytes = config.get('FIREWALL_MAX_URL_BYTES');
  return {
    options: {
      // Node counts target and headers together. The middleware judges both exactly, if Node lets a little more through.
      maxHeaderSize: config.get('FIREWALL_MAX_HEADER_BYTES') + 2 * maxTargetBytes,
      headersTimeout: timeoutMs,
      requestTimeout: timeoutMs,
      connectionsCheckingInterval: Math.min(checkEveryMs, Math.ceil(timeoutMs / 4)),
      keepAliveTimeout: keepAliveMs,
      requireHostHeader: false, // the middleware refuses its absence, with a problem and ids
      insecureHTTPParser: false,
    },
    onClientError: (error, socket) => answerClientError(error, socket, maxTargetBytes),
    onExpectation: (request, response) => {
      (request.socket as typeof request.socket & { server: NodeJS.EventEmitter }).server.emit(
        'request',
        request,
        response,
      );
    },
  };
}

function answerClientError(
  error: NodeJS.ErrnoException & { rawPacket?: Buffer },
  socket: Duplex,
  maxTargetBytes: number,
): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) {
    socket.destroy();
    return;
  }
  // More of the same garbage behind an answer that is already on its way.
  if (!socket.writable) return;
  const refusal = refusalOf(error, maxTargetBytes);
  linger(socket);
  const { _httpMessage: answering } = socket as Answering;
  if (answering && isGateRequest(answering.req)) {
    if (answering.headersSent) {
      socket.destroy();
      return;
    }
    answering.setHeader('Connection', 'close');
    const { route } = answering.req.gate;
    send(answering.req, answering as unknown as Parameters<typeof send>[1], problemOf(refusal), route);
    return;
  }
  socket.end(textOf(refusal));
}

function isGateRequest(request: IncomingMessage): request is GateRequest {
  return 'gate' in request;
}

function linger(socket: Duplex): void {
  const cut = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(cut));
}

function refusalOf(error: NodeJS.ErrnoException & { rawPacket?: Buffer }, maxTargetBytes: number): PolicyRefusal {
  switch (error.code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new PolicyRefusal(408, 'request_timeout', 'Request Timeout', 'The request was not complete in time');
    case 'HPE_HEADER_OVERFLOW':
      return error.rawPacket && isTargetTooLong(error.rawPacket, maxTargetBytes)
        ? new PolicyRefusal(414, 'uri_too_long', 'URI Too Long', 'The request target is too long')
        : new PolicyRefusal(
            431,
            'headers_too_large',
            'Request Header Fields Too Large',
            'The headers of the request are too large together',
          );
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new PolicyRefusal(413, 'body_too_large', 'Content Too Large', 'The chunk extensions are too large');
    default:
      return new PolicyRefusal(400, 'malformed_request', 'Bad Request', 'The request is not valid HTTP');
  }
}

/** Whether the packet that was too much is a request line, without an end within what a target may have. */
function isTargetTooLong(packet: Buffer, maxTargetBytes: number): boolean {
  const end = packet.indexOf('\n');
  return /^[A-Z]{3,10} \//.test(packet.toString('latin1', 0, 12)) && (end === -1 || end > maxTargetBytes);
}

/** The whole answer to what never became a request: there is no response object to write it with, and no id to repeat. */
function textOf({ status, code, title, detail }: PolicyRefusal): string {
  const id = randomUUID();
  const body = JSON.stringify({
    type: `urn:gatehouse:problem:${code}`,
    title,
    status,
    detail,
    error: title,
    code,
    correlationId: id,
  });
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `Date: ${new Date().toUTCString()}`,
    `X-Correlation-Id: ${id}`,
    `X-Request-Id: ${id}`,
    'Content-Type: application/problem+json; charset=utf-8',
    'Cache-Control: no-store',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
