import type { IncomingMessage } from 'node:http';
import { malformedHeader, severalTokens, tokenRequired } from './refusals';

/** Longest token taken, in characters (all are ASCII). */
const maxTokenLength = 8_192;
const scheme = 'Bearer ';
const space = 0x20;
const authorizationLength = 'authorization'.length;
const compactJws = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const queryToken = /[?&]access_token=/i;

/**
 * The token of the one `Authorization: Bearer` header (RFC 6750 §2.1). Only its size is checked here: what the cache
 * knows by its digest needs no look at its letters (`isCompactJws`).
 * @throws PolicyRefusal 401 when there is no token, several, an oversized one, or one in the query
 */
export function bearerToken(request: IncomingMessage): string {
  const { authorization } = request.headers;
  // RFC 6750 §2.3 lets a token stand in the URL, where logs, histories and referrers keep it.
  if (request.url?.includes('access_token') === true && queryToken.test(request.url)) throw severalTokens;
  if (authorization === undefined) throw tokenRequired;
  // Node keeps the first of several values and drops the others; a proxy before us may have checked another one.
  if (isRepeated(request.rawHeaders)) throw severalTokens;
  if (!hasScheme(authorization)) {
    throw authorization.toLowerCase() === 'bearer' ? malformedHeader : tokenRequired;
  }
  let start = scheme.length;
  while (authorization.charCodeAt(start) === space) start++;
  const length = authorization.length - start;
  if (length === 0 || length > maxTokenLength) throw malformedHeader;
  return authorization.slice(start);
}

/**
 * The token of the header, or of that field of the parsed body, which it is taken out of.
 * @throws PolicyRefusal 401 as `bearerToken`, and where the two differ
 */
export function tokenOf(request: IncomingMessage & { body?: unknown }, field: string): string {
  const { body } = request;
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, field)) return bearerToken(request);
  const { [field]: inBody, ...others } = body as Record<string, unknown>;
  request.body = others;
  if (typeof inBody !== 'string' || inBody === '' || inBody.length > maxTokenLength) throw malformedHeader;
  if (request.headers.authorization !== undefined && bearerToken(request) !== inBody) throw severalTokens;
  return inBody;
}

/** Whether it has the form of a signed token: three parts in base64url. */
export function isCompactJws(token: string): boolean {
  return compactJws.test(token);
}

function hasScheme(authorization: string): boolean {
  return (
    authorization.startsWith(scheme) || authorization.slice(0, scheme.length).toLowerCase() === scheme.toLowerCase()
  );
}

function isRepeated(rawHeaders: readonly string[]): boolean {
  let seen = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    // The length first: lower-casing every name of every request is not free.
    if (name?.length === authorizationLength && name.toLowerCase() === 'authorization') seen++;
  }
  return seen > 1;
}
