import { Body, Controller, Get, Post, Req } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import fc from 'fast-check';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { until } from '../../../test/support/until';
import { FreeText } from '../firewall/free-text.decorator';
import { type SmallGate, startSmallGate } from '../firewall/small-gate.spec-support';
import type { GateRequest } from '../request-state';
import { TakesBody } from './body.decorator';

class Note {
  @ApiProperty()
  title!: string;

  @FreeText()
  text!: string;
}

@Controller()
class NotesController {
  @Get('plain')
  plain() {
    return { ok: true };
  }

  @Post('notes')
  create(@Body() note: Note, @Req() request: GateRequest) {
    return { note, bytes: request.gate.rawBody?.length };
  }

  @Post('forms')
  @TakesBody({ kind: 'form' })
  form(@Body() form: Record<string, unknown>) {
    return { form };
  }

  @Post('raw')
  @TakesBody({ kind: 'raw', maxBytes: 2_000_000 })
  raw(@Req() request: GateRequest) {
    return { base64: request.gate.rawBody?.toString('base64').slice(0, 40), bytes: request.gate.rawBody?.length };
  }

  @Post('streams')
  @TakesBody({ kind: 'stream', maxBytes: 1_000_000_000 })
  async stream(@Req() request: GateRequest) {
    let bytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) bytes += chunk.length;
    return { bytes, rawBody: request.gate.rawBody === undefined };
  }
}

const maxBytes = 4096;

describe('BodyGuard', () => {
  let gate: SmallGate;
  const unhandled: unknown[] = [];
  const remember = (error: unknown) => unhandled.push(error);

  beforeAll(async () => {
    process.on('unhandledRejection', remember);
    process.on('uncaughtExceptionMonitor', remember);
    gate = await startSmallGate([NotesController], {
      FIREWALL_MAX_BODY_BYTES: String(maxBytes),
      FIREWALL_REQUEST_TIMEOUT_MS: '3000',
      FIREWALL_IP_PER_SECOND: '100000',
      FIREWALL_IP_BURST: '100000',
    });
  });
  afterAll(async () => {
    await gate.close();
    process.off('unhandledRejection', remember);
    process.off('uncaughtExceptionMonitor', remember);
    expect(unhandled).toEqual([]);
  });

  const post = async (
    path: string,
    body: NonNullable<RequestInit['body']>,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ) => {
    const response = await fetch(gate.url + path, { method: 'POST', body, headers });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, unknown>,
    };
  };

  it('gives the handler the parsed body, and the policies its bytes', async () => {
    const text = '{"title":"ä","text":"b"}';
    expect(await post('/notes', text)).toMatchObject({
      status: 201,
      body: { note: { title: 'ä', text: 'b' }, bytes: Buffer.byteLength(text) },
    });
  });

  it.each([
    'application/json',
    'Application/JSON; charset=UTF-8',
    'application/json;charset="utf-8"',
    'application/vnd.gatehouse.v1+json',
    'application/json; charset=us-ascii',
  ])('takes %s', async (type) => {
    expect((await post('/notes', '{}', { 'content-type': type })).status).toBe(201);
  });

  it.each([
    [{ 'content-type': 'text/plain' }],
    [{ 'content-type': 'application/x-www-form-urlencoded' }],
    [{ 'content-type': 'application/jsonp' }],
    [{ 'content-type': 'nonsense' }],
    [{ 'content-type': 'application/json; charset=utf-16' }],
    [{ 'content-type': 'application/json; charset=iso-8859-1' }],
    [{ 'content-type': 'application/json', 'content-encoding': 'gzip' }],
  ])('answers 415 to %j', async (headers) => {
    expect(await post('/notes', '{}', headers as Record<string, string>)).toMatchObject({
      status: 415,
      body: { code: 'unsupported_media_type' },
    });
  });

  it('answers 415 to a body without a type', async () => {
    const answer = await gate.exchange(
      'POST /notes HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 415 /);
  });

  it.each([
    ['nothing', '', 'body_required'],
    ['half of it', '{"title":', 'malformed_json'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 'invalid_utf8'],
    ['an overlong slash', Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 'invalid_utf8'],
    ['a number', '5', 'invalid_body'],
    ['a prototype', '{"__proto__":{}}', 'forbidden_property'],
    ['a depth of 1,000', '['.repeat(1000) + ']'.repeat(1000), 'json_too_deep'],
  ])('answers 400 to %s', async (_, body, code) => {
    expect(await post('/notes', body)).toMatchObject({ status: 400, body: { code } });
  });

  it('answers 400 to a chunked body of no bytes', async () => {
    const answer = await gate.exchange(
      'POST /notes HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*body_required/);
  });

  it('ignores a byte order mark', async () => {
    expect((await post('/notes', '\ufeff{"title":"a"}')).body.note).toEqual({ title: 'a' });
  });

  it('takes exactly the largest body, declared or chunked, and not one byte more', async () => {
    const fits = JSON.stringify({ title: 'x'.repeat(maxBytes - 12) });
    expect(Buffer.byteLength(fits)).toBe(maxBytes);
    expect((await post('/notes', fits)).status).toBe(201);
    expect((await post('/notes', `${fits} `)).status).toBe(413);
    const chunked = (text: string) =>
      `POST /notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
    expect(await gate.exchange(chunked(fits))).toMatch(/^HTTP\/1\.1 201 /);
    expect(await gate.exchange(chunked(`${fits} `))).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('answers 413 at once to a declared size, before a byte of the body is here', async () => {
    const answer = await gate.exchange(
      'POST /notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*Connection: close[\s\S]*body_too_large/);
  });

  it.each(['declared', 'chunked'])(
    'lets a client that sends 20 MB without reading (%s) read its 413 without a reset',
    async (how) => {
      const size = 20_000_000;
      const socket = connect(gate.port, '127.0.0.1').pause();
      const framing = how === 'declared' ? `Content-Length: ${size}` : 'Transfer-Encoding: chunked';
      socket.write(`POST /notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`);
      if (how === 'chunked') socket.write(`${size.toString(16)}\r\n`);
      await new Promise((resolve) => socket.write(Buffer.alloc(size, ' '), resolve));
      const answer = (await socket.toArray()).join('');
      expect(answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*Connection: close[\s\S]*body_too_large/);
      expect(socket.errored).toBeNull();
    },
  );

  it('sends 100 Continue only where the body is wanted', async () => {
    const head = (path: string, length: number) =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
    expect(await gate.exchange(head('/notes', 99_999))).toMatch(/^HTTP\/1\.1 413 /);
    expect(await gate.exchange(head('/nowhere', 2))).toMatch(/^HTTP\/1\.1 404 [\s\S]*Connection: close/);

    const socket = connect(gate.port, '127.0.0.1');
    socket.write(head('/notes', 2));
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    socket.write('{}');
    const [second] = (await once(socket, 'data')) as [Buffer];
    expect(second.toString()).toMatch(/^HTTP\/1\.1 201 [\s\S]*Connection: keep-alive/);
    socket.destroy();
  });

  it('ends a request whose client goes away in the middle of its body, and leaves nothing behind', async () => {
    const before = gate.log.length;
    const open = await connectionsOf(gate);
    for (let count = 0; count < 20; count++) {
      const socket = connect(gate.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(
        'POST /notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"title":',
      );
      await once(socket, 'connect');
      if (count % 2) socket.resetAndDestroy();
      else socket.destroy();
    }
    expect((await post('/notes', '{}')).status).toBe(201);
    await until(async () => (await connectionsOf(gate)) <= open);
    expect(gate.log.slice(before).filter((line) => line.includes('"level":50'))).toEqual([]);
  });

  it('answers 408 to a body that does not come, with the correlation id of its request', async () => {
    const answer = await gate.exchange(
      'POST /notes HTTP/1.1\r\nHost: a\r\nX-Correlation-Id: slow-1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"tit',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*X-Correlation-Id: slow-1[\s\S]*request_timeout/);
  });

  it('lets a request without a body pass on a route that takes none, and drops a body that nobody asked for', async () => {
    expect((await fetch(`${gate.url}/plain`)).status).toBe(200);
    const answer = await gate.exchange(
      'GET /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
      'GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    expect(answer.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  });

  it('parses a form: names that repeat become lists, and no name reaches a prototype', async () => {
    const form = (text: string) => post('/forms', text, { 'content-type': 'application/x-www-form-urlencoded' });
    expect((await form('a=1&b=x+y%26z&b=2')).body).toEqual({ form: { a: '1', b: ['x y&z', '2'] } });
    expect((await form('__proto__=1')).body.code).toBe('forbidden_property');
    expect((await form(Array.from({ length: 1001 }, (_, index) => index.toString(36)).join('&'))).body.code).toBe(
      'too_many_fields',
    );
    expect((await post('/forms', '{}')).status).toBe(415);
    expect((await form("a=' or 1=1")).body).toMatchObject({ ruleId: 'sqli-tautology' });
  });

  it('leaves raw bytes as they came', async () => {
    const bytes = Buffer.from([0, 255, 1, 254]);
    expect((await post('/raw', bytes, {})).body).toEqual({ base64: bytes.toString('base64'), bytes: 4 });
    expect((await post('/raw', Buffer.alloc(1_500_000), {})).body.bytes).toBe(1_500_000);
    expect((await post('/raw', '', {})).body.bytes).toBe(0);
  });

  it('leaves a stream unread for the handler', async () => {
    expect((await post('/streams', Buffer.alloc(3_000_000), {})).body).toEqual({ bytes: 3_000_000, rawBody: true });
  });

  it('answers no body with a 500, whatever its bytes and type', async () => {
    const type = fc.constantFrom(
      'application/json',
      'application/x-www-form-urlencoded',
      'a',
      'application/json; charset=',
    );
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => Buffer.from(text)),
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('/notes', '/forms', '/raw'), type, body, async (path, contentType, bytes) => {
        const response = await fetch(gate.url + path, {
          method: 'POST',
          body: bytes,
          headers: { 'content-type': contentType },
        });
        await response.arrayBuffer();
        expect(response.status).toBeLessThan(500);
      }),
      { numRuns: 300 },
    );
  });
});

function connectionsOf(gate: SmallGate): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = gate.app.getHttpServer() as Server;
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}
