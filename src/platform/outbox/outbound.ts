import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Agent, request } from 'undici';
import { Clock } from '../config';
import { EffectFailed, type FailureKind } from './event';
import { mostRetryAfterMs } from './settings';

const connectTimeoutMs = 5_000;
/** The longest from the call to its end: a slow drip does not stretch it. */
const exchangeTimeoutMs = 15_000;
/** What is read of an answer to keep the connection; a longer one costs the connection. */
const maxResponseBytes = 65_536;
const connectionsPerOrigin = 32;

export interface OutboundCall {
  readonly url: string;
  /** The bearer token; `undefined` where the body names the caller. */
  readonly token: string | undefined;
  readonly body: unknown;
  /** Sent as `Idempotency-Key`: the same at every repetition. */
  readonly idempotencyKey: string;
  readonly correlation: { readonly correlationId: string; readonly traceparent: string | undefined } | undefined;
}

interface Client {
  readonly agent: Agent;
  readonly request: typeof request;
}

/** The library is loaded with the first call: a process that answers requests alone never makes one. */
async function openClient(): Promise<Client> {
  const { Agent, request } = await import('undici');
  const agent = new Agent({
    connect: { timeout: connectTimeoutMs },
    connections: connectionsPerOrigin,
    headersTimeout: exchangeTimeoutMs,
    bodyTimeout: exchangeTimeoutMs,
    keepAliveTimeout: 30_000,
  });
  return { agent, request };
}

/** Calls to providers: JSON over kept-alive connections, with limits on time and size, and failures sorted. */
@Injectable()
export class Outbound implements OnApplicationShutdown {
  private client: Promise<Client> | undefined;

  constructor(private readonly clock: Clock) {}

  /**
   * Posts JSON and reads the answer.
   * @returns the status, always 2xx
   * @throws EffectFailed for every other answer, and for none
   */
  async post({ url, token, body, idempotencyKey, correlation }: OutboundCall): Promise<number> {
    this.client ??= openClient();
    try {
      const { request, agent } = await this.client;
      const response = await request(url, {
        dispatcher: agent,
        method: 'POST',
        signal: AbortSignal.timeout(exchangeTimeoutMs),
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          'content-type': 'application/json',
          'idempotency-key': idempotencyKey,
          ...(correlation && { 'x-correlation-id': correlation.correlationId }),
          ...(correlation?.traceparent !== undefined && { traceparent: correlation.traceparent }),
        },
        body: JSON.stringify(body),
      });
      // The status says all; what drips in after it ends with the exchange's time and changes nothing.
      await response.body.dump({ limit: maxResponseBytes });
      const kind = kindOfStatus(response.statusCode, response.headers['retry-after'], this.clock.now());
      if (kind) throw new EffectFailed(kind);
      return response.statusCode;
    } catch (error) {
      throw error instanceof EffectFailed ? error : new EffectFailed(kindOfError(error), error);
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await (await this.client)?.agent.close();
  }
}

/**
 * What a status means for the delivery; `undefined` for success. 408, 423, 425 and 429 ask for a repetition, and so does any
 * answer with `Retry-After` (RFC 9110, 10.2.3). 401 and 403 are about our token, and a redirect about our setting, not about
 * this message: they are repeated until somebody mends it. Every other 4xx will not change.
 */
export function kindOfStatus(
  status: number,
  retryAfter: string | string[] | undefined,
  nowMs: number,
): FailureKind | undefined {
  if (status >= 200 && status < 300) return undefined;
  const retryAfterMs = typeof retryAfter === 'string' ? readRetryAfter(retryAfter, nowMs) : undefined;
  const isAboutThisMessage = status >= 400 && status < 500 && ![401, 403, 408, 423, 425, 429].includes(status);
  const retryable = !isAboutThisMessage || retryAfterMs !== undefined;
  return { errorClass: `status_${status}`, retryable, unwell: retryable, retryAfterMs };
}

/** Reads seconds or an HTTP date (RFC 9110, 10.2.3) as milliseconds from now, an hour at most; nonsense is no wish. */
export function readRetryAfter(text: string, nowMs: number): number | undefined {
  const millis = /^\d{1,10}$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isFinite(millis) && millis > 0 ? Math.min(millis, mostRetryAfterMs) : undefined;
}

const classOfCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'connection_lost',
  EPIPE: 'connection_lost',
  UND_ERR_SOCKET: 'connection_lost',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
};

function kindOfError(error: unknown): FailureKind {
  const { name, code } = (error ?? {}) as { name?: string; code?: string | number };
  const errorClass = name === 'TimeoutError' ? 'timeout' : (classOfCode[String(code)] ?? 'network');
  return { errorClass, retryable: true, unwell: true };
}
