import type { IncomingMessage } from 'node:http';
import { PolicyRefusal } from '../errors/policy-refusal';

/** What a request's head may measure. */
export interface HeadLimits {
  readonly maxTargetBytes: number;
  readonly maxHeaderBytes: number;
}

/** A refused head: the answer, and the rule that is counted. */
export interface HeadRefusal {
  readonly rule: string;
  readonly refusal: PolicyRefusal;
}

const maxHeaderLines = 100;
/** `: ` and the line's end; RFC 9112 §5. */
const headerLineOverhead = 4;
/** Names of headers that decide who is asked and who asks: two of them, and two readers may each take another. */
const singleHeaders = new Set([
  'host',
  'content-type',
  'content-length',
  'authorization',
  'transfer-encoding',
  'origin',
]);
const singleHeaderLengths = new Set([...singleHeaders].map((name) => name.length));
const hostPattern = /^(?:[\w.-]{1,255}|\[[\da-f:.]{2,45}\])(?::\d{1,5})?$/i;

/** In a target without any of these, there is nothing to decode and nothing to climb: two dots, an escape, a backslash, a byte that no URI has. */
const unusualTarget = /%|\.\.|[^!-[\]-~]/;
const brokenEscape = /%(?![\da-f]{2})/i;
/** RFC 3986 §2: what no URI contains unescaped. */
const unwritable = /[^!-~]/;
const climbing = /(?:^|[/\\])\.\.(?:[/\\;]|$)/;
const lineBreak = /[\r\n]/;
/** Each further layer of escapes is one more reader that must not be surprised; nobody writes more than two. */
const maxEscapeLayers = 3;

const tooLong: HeadRefusal = refused(
  'target-length',
  414,
  'uri_too_long',
  'URI Too Long',
  'The request target is too long',
);
const tooLarge: HeadRefusal = refused(
  'header-bytes',
  431,
  'headers_too_large',
  'Request Header Fields Too Large',
  'The headers of the request are too large together',
);
const tooMany: HeadRefusal = refused(
  'header-lines',
  431,
  'headers_too_large',
  'Request Header Fields Too Large',
  `A request has at most ${maxHeaderLines} header lines`,
);
const repeated = badRequest('header-repeated', 'A header that must stand once stands twice');
/** RFC 9112 §3.2. */
const noHost = badRequest('host-missing', 'An HTTP/1.1 request has a Host header');
const badHost = badRequest('host-malformed', 'The Host header is malformed');
const badCoding = badRequest('transfer-coding', 'The only transfer coding is chunked');
const unexpected = refused(
  'expectation',
  417,
  'expectation_failed',
  'Expectation Failed',
  'The only expectation that is met is 100-continue',
);
const badTarget = badRequest('target-malformed', 'The request target is malformed');
const traversal = forbidden('path-traversal');
const controlCharacter = forbidden('path-nul');
const crlf = forbidden('path-crlf');

/** Judges the target and the headers of a request, without its body; `undefined` lets it through. Reads no decoded value that a route reads later. */
export function judgeHead(request: IncomingMessage, limits: HeadLimits): HeadRefusal | undefined {
  const target = request.url ?? '';
  if (target.length > limits.maxTargetBytes) return tooLong;
  if (target.charCodeAt(0) !== 47 && !(target === '*' && request.method === 'OPTIONS')) return badTarget;
  return (unusualTarget.test(target) ? judgeTarget(target) : undefined) ?? judgeHeaders(request, limits.maxHeaderBytes);
}

function judgeTarget(target: string): HeadRefusal | undefined {
  if (unwritable.test(target) || brokenEscape.test(target)) return badTarget;
  const mark = target.indexOf('?');
  let path = mark === -1 ? target : target.slice(0, mark);
  for (let layer = 0; ; layer++) {
    if (climbing.test(path)) return traversal;
    // No URI has a bare one (RFC 3986 §2), and some readers take it for a slash.
    if (layer === 0 && path.includes('\\')) return badTarget;
    if (path.includes('\0')) return controlCharacter;
    if (lineBreak.test(path)) return crlf;
    if (!path.includes('%')) break;
    if (layer === maxEscapeLayers) return traversal;
    const decoded = decodedOnce(path);
    // The first layer must be right; what looks like an escape further in may be a literal per cent sign.
    if (decoded === undefined) {
      if (layer === 0) return badTarget;
      break;
    }
    path = decoded;
  }
  return mark !== -1 && target.includes('%00', mark) ? controlCharacter : undefined;
}

function decodedOnce(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

function judgeHeaders(request: IncomingMessage, maxHeaderBytes: number): HeadRefusal | undefined {
  const lines = request.rawHeaders;
  if (lines.length > 2 * maxHeaderLines) return tooMany;
  let bytes = 0;
  let seen: string[] | undefined;
  for (let index = 0; index < lines.length; index += 2) {
    const name = lines[index] ?? '';
    bytes += name.length + (lines[index + 1] ?? '').length + headerLineOverhead;
    if (!singleHeaderLengths.has(name.length)) continue;
    const lower = name.toLowerCase();
    if (!singleHeaders.has(lower)) continue;
    if (seen === undefined) seen = [lower];
    else if (seen.includes(lower)) return repeated;
    else seen.push(lower);
  }
  if (bytes > maxHeaderBytes) return tooLarge;
  const { host, expect, 'transfer-encoding': coding } = request.headers;
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') return unexpected;
  if (host === undefined && request.httpVersion === '1.1') return noHost;
  if (host !== undefined && !hostPattern.test(host)) return badHost;
  return coding !== undefined && coding.toLowerCase() !== 'chunked' ? badCoding : undefined;
}

function refused(rule: string, status: number, code: string, title: string, detail: string): HeadRefusal {
  return { rule, refusal: new PolicyRefusal(status, code, title, detail) };
}

function badRequest(rule: string, detail: string): HeadRefusal {
  return refused(rule, 400, 'malformed_request', 'Bad Request', detail);
}

function forbidden(ruleId: string): HeadRefusal {
  const detail = 'The request looks like an attack';
  return {
    rule: ruleId,
    refusal: new PolicyRefusal(403, 'firewall_rule', 'Forbidden', detail, { members: { ruleId } }),
  };
}
