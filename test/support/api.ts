import { setTimeout as sleep } from 'node:timers/promises';
import type { GateProcess } from './process';

export interface Answer<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed JSON body. */
  readonly body: Body;
}

export interface Call {
  readonly method?: string;
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** One call over real HTTP. */
export async function call<Body = Record<string, unknown>>(
  gate: { url: string },
  path: string,
  options: Call = {},
): Promise<Answer<Body>> {
  const { token, body } = options;
  const response = await fetch(`${gate.url}${path}`, {
    method: options.method ?? (body === undefined ? 'GET' : 'POST'),
    redirect: 'manual',
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = text !== '' && /[/+]json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, text, body: (isJson ? JSON.parse(text) : {}) as Body };
}

/**
 * As `call`, and again where it was answered 503: a busy machine lets nobody wait at its door for more than a second. For what a
 * failure costs nothing, as it costs no post of Slack's methods, whose shape does not tell why they are unavailable.
 */
export async function callPatiently<Body = Record<string, unknown>>(
  ...request: Parameters<typeof call>
): Promise<Answer<Body>> {
  for (;;) {
    const answer = await call<Body>(...request);
    const { code, error } = answer.body as { code?: string; error?: string };
    if (answer.status !== 503 || (code !== 'overloaded' && error !== 'service_unavailable')) return answer;
    await sleep(50);
  }
}

/** A token of the development issuer with these claims. */
export async function tokenFor(gate: GateProcess, claims: Record<string, unknown> = {}): Promise<string> {
  const { status, body, text } = await call<{ access_token: string }>(gate, '/dev/tokens', { body: claims });
  if (status >= 300) throw new Error(`No token: ${status} ${text}`);
  return body.access_token;
}
