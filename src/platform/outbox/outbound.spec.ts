import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ManualClock } from '../config';
import { EffectFailed, type FailureKind } from './event';
import { kindOfStatus, Outbound, readRetryAfter } from './outbound';

const now = Date.parse('2026-04-24T10:00:00Z');

describe('what an answer means', () => {
  it.each([200, 201, 204, 207])('%i is a success', (status) => {
    expect(kindOfStatus(status, undefined, now)).toBeUndefined();
  });

  it.each([400, 404, 409, 410, 413, 422])('%i will not change, and says nothing of the provider’s health', (status) => {
    expect(kindOfStatus(status, undefined, now)).toMatchObject({ retryable: false, unwell: false });
  });

  it.each([302, 401, 403, 408, 423, 425, 429, 500, 502, 503, 504])('%i may change', (status) => {
    expect(kindOfStatus(status, undefined, now)).toMatchObject({ errorClass: `status_${status}`, retryable: true });
  });

  it('may change whenever it says when to come back', () => {
    expect(kindOfStatus(477, '5', now)).toMatchObject({ retryable: true, retryAfterMs: 5_000 });
  });

  it.each([
    ['120', 120_000],
    ['Fri, 24 Apr 2026 10:01:00 GMT', 60_000],
    ['9999999999', 3_600_000],
    ['Fri, 24 Apr 2026 09:00:00 GMT', undefined],
    ['-5', undefined],
    ['soon', undefined],
    ['', undefined],
    ['99999999999999999999', undefined],
  ])('reads Retry-After: %s', (text, millis) => {
    expect(readRetryAfter(text, now)).toBe(millis);
  });
});

describe('a call to a provider', () => {
  let server: Server | undefined;
  const outbound = new Outbound(new ManualClock(now));

  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });
  afterAll(() => outbound.onApplicationShutdown());

  async function serve(listener: RequestListener): Promise<string> {
    const listening = createServer(listener);
    server = listening;
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(listening.address() as AddressInfo).port}/`;
  }
  const post = (url: string) =>
    outbound.post({
      url,
      token: 'secret',
      body: { to: 'somebody' },
      idempotencyKey: 'evt_1',
      correlation: { correlationId: 'corr-1', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
    });
  const failure = (call: Promise<unknown>): Promise<FailureKind> =>
    call.then(
      () => Promise.reject(new Error('it did not fail')),
      (error: unknown) => {
        if (error instanceof EffectFailed) return error.kind;
        throw error;
      },
    );

  it('carries the key that makes a repetition harmless, the token, and the names of the affair', async () => {
    let headers: Record<string, unknown> = {};
    const url = await serve((request, response) => {
      headers = request.headers;
      response.writeHead(201).end();
    });
    expect(await post(url)).toBe(201);
    expect(headers).toMatchObject({
      authorization: 'Bearer secret',
      'content-type': 'application/json',
      'idempotency-key': 'evt_1',
      'x-correlation-id': 'corr-1',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
  });

  it('uses its connections again', async () => {
    let connections = 0;
    const url = await serve((request, response) => {
      request.resume();
      response.end('{}');
    });
    server?.on('connection', () => (connections += 1));
    for (let call = 0; call < 20; call += 1) await post(url);
    expect(connections).toBeLessThanOrEqual(2);
  });

  it('follows no redirect', async () => {
    let calls = 0;
    const url = await serve((_, response) => {
      calls += 1;
      response.writeHead(307, { Location: '/elsewhere' }).end();
    });
    expect(await failure(post(url))).toMatchObject({ errorClass: 'status_307', retryable: true });
    expect(calls).toBe(1);
  });

  it('names a provider that is not there, and one that breaks off', async () => {
    const url = await serve((request) => request.socket.destroy());
    expect(await failure(post(url))).toMatchObject({ errorClass: 'connection_lost', retryable: true, unwell: true });
    await new Promise((resolve) => server?.close(resolve));
    expect(await failure(post(url))).toMatchObject({ errorClass: 'refused', retryable: true, unwell: true });
  });

  it('takes an endless answer for an answer, and reads no more than a part of it', async () => {
    let written = 0;
    const url = await serve((request, response) => {
      request.resume();
      const drip = setInterval(() => {
        written += 65_536;
        response.write(Buffer.alloc(65_536));
      }, 1);
      response.once('close', () => clearInterval(drip));
    });
    expect(await post(url)).toBe(200);
    expect(written).toBeLessThan(50_000_000);
  });

  it('ends when there is no answer in 15 s', async () => {
    const url = await serve((request) => request.resume());
    expect(await failure(post(url))).toMatchObject({ errorClass: 'timeout', retryable: true, unwell: true });
  });
});
