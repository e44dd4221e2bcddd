import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Response } from 'express';
import { isUtf8 as isUtf8Text } from 'node:buffer';
import { Config } from '../../platform/config';
import { PolicyRefusal } from '../errors/policy-refusal';
import { type GateRequest, requestOf, responseOf, routeOf } from '../request-state';
import { readBody, tooLarge } from './body-reader';
import { parseForm } from './form';
import { closeGently } from './gentle-close';
import { parseJson } from './json';
import { isJson, isUtf8, type MediaType, mediaTypeOf } from './media-type';

type Format = 'json' | 'form';

const decimal = /^\d{1,15}$/;
const nothing = Buffer.alloc(0);

/**
 * Reads the body of a route that takes one, and parses it: into `request.body` and `gate.rawBody`.
 * What it refuses cost no token verification and no connection: 413 (size), 415 (type, charset, coding), 400 (text, syntax, depth).
 */
@Injectable()
export class BodyGuard implements CanActivate {
  private readonly usualMaxBytes: number;

  constructor(config: Config) {
    this.usualMaxBytes = config.get('FIREWALL_MAX_BODY_BYTES');
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const { body: rules, inputs } = routeOf(context);
    const kind = rules.kind ?? (inputs.body && 'json');
    const request = requestOf(context);
    const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
    const empty = coding === undefined && (length === undefined || length === '0');
    if (empty && kind === undefined) return true;

    const response = responseOf(context);
    const maxBytes = rules.maxBytes ?? this.usualMaxBytes;
    if (length !== undefined && (!decimal.test(length) || Number(length) > maxBytes)) {
      closeGently(request, response);
      throw tooLarge(maxBytes);
    }
    // A body that no handler asked for has no meaning (RFC 9110 §9.3.1); Node drops it behind the answer.
    if (kind === undefined) return true;
    if (kind === 'stream') {
      continueSending(request, response);
      return true;
    }
    if (empty) {
      if (kind === 'json-or-form') request.body = {};
      else if (inputs.body && kind !== 'raw') throw missing;
      request.gate.rawBody = nothing;
      return true;
    }
    const format = kind === 'raw' ? 'raw' : formatOf(request, kind);
    continueSending(request, response);
    return this.read(request, response, format, maxBytes, inputs.body !== undefined);
  }

  private async read(
    request: GateRequest,
    response: Response,
    kind: Format | 'raw',
    maxBytes: number,
    needed: boolean,
  ): Promise<boolean> {
    const bytes = await readBody(request, response, maxBytes);
    request.gate.rawBody = bytes;
    if (kind === 'raw') return true;
    if (bytes.length === 0) {
      if (needed) throw missing;
      return true;
    }
    if (!isUtf8Text(bytes)) throw notUtf8;
    const text = bytes.toString('utf8', startsWithMark(bytes) ? 3 : 0);
    request.body = kind === 'form' ? parseForm(text) : parseJson(text);
    return true;
  }
}

function formatOf(request: GateRequest, kind: Format | 'json-or-form'): Format {
  const { 'content-type': contentType, 'content-encoding': encoding } = request.headers;
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') throw encoded;
  const type = mediaTypeOf(contentType);
  const found = type && formatNamed(type);
  if (!type || !found || (kind !== found && kind !== 'json-or-form')) throw wrongType[kind];
  if (!isUtf8(type)) throw wrongCharset;
  return found;
}

function formatNamed(type: MediaType): Format | undefined {
  if (isJson(type)) return 'json';
  return type.essence === 'application/x-www-form-urlencoded' ? 'form' : undefined;
}

/** A client that waits for `100 Continue` gets it here, where its body is wanted, and not before (RFC 9110 §10.1.1). */
function continueSending(request: GateRequest, response: Response): void {
  if (request.headers.expect !== undefined) response.writeContinue();
}

/** RFC 8259 §8.1: a reader may ignore a byte order mark. */
function startsWithMark(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

function unsupported(detail: string, headers: Readonly<Record<string, string>> = {}): PolicyRefusal {
  return new PolicyRefusal(415, 'unsupported_media_type', 'Unsupported Media Type', detail, { headers });
}

const wrongType = {
  json: unsupported('The body must be application/json', { Accept: 'application/json' }),
  form: unsupported('The body must be application/x-www-form-urlencoded', {
    Accept: 'application/x-www-form-urlencoded',
  }),
  'json-or-form': unsupported('The body must be application/json or application/x-www-form-urlencoded', {
    Accept: 'application/json, application/x-www-form-urlencoded',
  }),
};
const wrongCharset = unsupported('The body must be in UTF-8');
const encoded = unsupported('The body must not be compressed', { 'Accept-Encoding': 'identity' });
const missing = new PolicyRefusal(400, 'body_required', 'Bad Request', 'The request needs a body');
const notUtf8 = new PolicyRefusal(400, 'invalid_utf8', 'Bad Request', 'The body is not valid UTF-8');
