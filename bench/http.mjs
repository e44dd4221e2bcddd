// @ts-check
/** The bytes of HTTP/1.1, no more of it than the load generator needs. */

/** @typedef {{ method?: string, path: string, headers?: Record<string, string>, body?: unknown }} Request An object as `body` goes out as JSON. */

/** @param {string} host @param {Request} request */
export function encode(host, { method = 'GET', path, headers = {}, body }) {
  const payload = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  let head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: application/json\r\n`;
  for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
  if (body !== undefined) head += `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(payload)}\r\n`;
  return Buffer.from(`${head}\r\n${payload}`);
}

const EMPTY = Buffer.alloc(0);
const LENGTH = /\r\ncontent-length: *(\d+)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;
const CLOSE = /\r\nconnection: *close/i;

/** Reads one response at a time from a connection that never has two under way. */
export class ResponseReader {
  status = 0;
  /** Status line and headers. */
  head = '';
  /** Decoded; kept only when asked for. @type {Buffer} */
  body = EMPTY;
  closing = false;
  /** @type {Buffer} */
  #pending = EMPTY;

  /** @param {boolean} keepBody */
  constructor(keepBody) {
    this.keepBody = keepBody;
  }

  reset() {
    this.#pending = EMPTY;
  }

  /** @param {Buffer} chunk @returns {boolean} whether the response is complete */
  push(chunk) {
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const complete = this.#parse(bytes);
    this.#pending = complete ? EMPTY : bytes;
    return complete;
  }

  /** @param {Buffer} bytes */
  #parse(bytes) {
    const headEnd = bytes.indexOf('\r\n\r\n');
    if (headEnd < 0) return false;
    this.status = (bytes[9] - 48) * 100 + (bytes[10] - 48) * 10 + bytes[11] - 48;
    this.head = bytes.toString('latin1', 0, headEnd);
    this.closing = CLOSE.test(this.head);
    const from = headEnd + 4;
    if (this.status === 204 || this.status === 304) {
      this.body = EMPTY;
      return true;
    }
    const length = LENGTH.exec(this.head);
    if (length) {
      const to = from + Number(length[1]);
      if (bytes.length < to) return false;
      if (this.keepBody) this.body = bytes.subarray(from, to);
      return true;
    }
    if (CHUNKED.test(this.head)) return this.#parseChunks(bytes, from);
    throw new Error(`a response without a length cannot be timed: ${this.head.slice(0, 200)}`);
  }

  /** @param {Buffer} bytes @param {number} from */
  #parseChunks(bytes, from) {
    const parts = [];
    for (let at = from; ;) {
      const lineEnd = bytes.indexOf('\r\n', at);
      if (lineEnd < 0) return false;
      const size = parseInt(bytes.toString('latin1', at, lineEnd), 16);
      const next = lineEnd + 2 + size + 2;
      if (bytes.length < next) return false;
      if (size === 0) break;
      if (this.keepBody) parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
      at = next;
    }
    if (this.keepBody) this.body = Buffer.concat(parts);
    return true;
  }
}
