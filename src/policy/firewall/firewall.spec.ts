import { Body, Controller, Get, Post, Query } from '@nestjs/common';
import { ApiProperty, PartialType } from '@nestjs/swagger';
import fc from 'fast-check';
import { FreeText } from './free-text.decorator';
import { type SmallGate, startSmallGate } from './small-gate.spec-support';

class Line {
  @ApiProperty()
  sku!: string;

  @FreeText()
  @ApiProperty()
  remark!: string;
}

class Order {
  @ApiProperty()
  name!: string;

  @ApiProperty()
  @FreeText()
  message!: string;

  @ApiProperty({ type: [Line] })
  lines!: Line[];

  @ApiProperty({ type: () => Line })
  first!: Line;
}

class OrderChange extends PartialType(Order) {}

class OrderSearch {
  @ApiProperty()
  status!: string;

  @FreeText()
  q!: string;
}

@Controller('orders')
class OrdersController {
  @Get()
  find(@Query() _search: OrderSearch) {
    return [];
  }

  @Get('one')
  one() {
    return {};
  }

  @Post()
  create(@Body() order: Order) {
    return order;
  }

  @Post('changes')
  change(@Body() change: OrderChange) {
    return change;
  }
}

describe('the firewall', () => {
  let gate: SmallGate;
  beforeAll(async () => {
    gate = await startSmallGate([OrdersController], {
      FIREWALL_IP_PER_SECOND: '100000',
      FIREWALL_IP_BURST: '100000',
      FIREWALL_MAX_URL_BYTES: '1024',
      FIREWALL_MAX_HEADER_BYTES: '2048',
      FIREWALL_REQUEST_TIMEOUT_MS: '3000',
    });
  });
  afterAll(() => gate.close());

  const raw = async (target: string, headers = '') => {
    const text = await gate.exchange(
      `GET ${target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${headers}\r\n`,
    );
    return { status: Number(text.slice(9, 12)), text };
  };
  const problemIn = (text: string) => JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)) as Record<string, unknown>;

  it.each([
    ['/orders/../admin', 'path-traversal'],
    ['/orders/..', 'path-traversal'],
    ['/..', 'path-traversal'],
    ['/orders/%2e%2e/admin', 'path-traversal'],
    ['/orders/%2e%2e%2fadmin', 'path-traversal'],
    ['/orders/..%2fadmin', 'path-traversal'],
    ['/orders/%2E./admin', 'path-traversal'],
    ['/orders/..%5cadmin', 'path-traversal'],
    ['/orders/..;/admin', 'path-traversal'],
    ['/orders/%252e%252e%252fadmin', 'path-traversal'],
    ['/orders/%25252e%25252e%25252fadmin', 'path-traversal'],
    ['/orders/%2525252525252e', 'path-traversal'],
    ['/orders/a%00b', 'path-nul'],
    ['/orders/a%2500b', 'path-nul'],
    ['/orders/a%0d%0aSet-Cookie:%20a=b', 'path-crlf'],
    ['/orders/a%0ab', 'path-crlf'],
    ['/orders/a%250d%250ab', 'path-crlf'],
    ['/orders?q=a%00', 'path-nul'],
  ])('answers 403 to %s by the rule %s', async (target, ruleId) => {
    const before = await gate.refusals(ruleId);
    const { status, text } = await raw(target);
    expect(status).toBe(403);
    expect(problemIn(text)).toMatchObject({ code: 'firewall_rule', ruleId });
    expect(await gate.refusals(ruleId)).toBe(before + 1);
  });

  const unreadable = ['/orders\\x', '/orders/%', '/orders/%zz', '/orders/%c0%ae', '/orders/%ff', '/orders/ä'];
  it.each([...unreadable, 'http://a.example/orders', '*'])('answers 400 to the target %s', async (target) =>
    expect((await raw(target)).status).toBe(400),
  );

  it.each(['/orders/one', '/orders/one?a=b..c', '/orders/one?x=100%25', '/orders/one?file=a%2Fb'])(
    'lets %s pass',
    async (target) => {
      expect((await raw(target)).status).toBe(200);
    },
  );

  it.each([
    '/orders/o%6ee',
    '/orders/a..b',
    '/orders/...',
    '/orders/100%25',
    '/orders/a%252Fb',
    '/orders/%E4%BD%A0',
    '/.well-known/x',
  ])('has nothing against the unknown path %s', async (target) => expect((await raw(target)).status).toBe(404));

  it('answers 414 to a target longer than allowed, however long', async () => {
    expect((await raw(`/orders/one?a=${'x'.repeat(1024 - 14)}`)).status).toBe(200);
    expect((await raw(`/orders/one?a=${'x'.repeat(1025 - 14)}`)).status).toBe(414);
    expect(problemIn((await raw(`/${'x'.repeat(20_000)}`)).text)).toMatchObject({ status: 414, code: 'uri_too_long' });
  });

  it('answers 431 to headers larger than allowed together, however large', async () => {
    const ours = 'Host: a.example\r\nConnection: close\r\n'.length;
    const header = (length: number) => `X-A: ${'x'.repeat(length - ours - 7)}\r\n`;
    expect((await raw('/orders/one', header(2048))).status).toBe(200);
    expect((await raw('/orders/one', header(2049))).status).toBe(431);
    expect((await raw('/orders/one', `X-A: ${'x'.repeat(60_000)}\r\n`)).status).toBe(431);
    expect(
      (await raw('/orders/one', Array.from({ length: 120 }, (_, index) => `x${index}:\r\n`).join(''))).status,
    ).toBe(431);
  });

  it.each([
    ['a second Authorization', 'Authorization: a\r\nauthorization: b\r\n'],
    ['a second Content-Type', 'Content-Type: a/b\r\nContent-Type: c/d\r\n'],
    ['a second Content-Length', 'Content-Length: 0\r\nContent-Length: 0\r\n'],
    ['both framings', 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n'],
    ['an unknown coding', 'Transfer-Encoding: gzip, chunked\r\n'],
    ['a bare CR', 'X-A: a\rb\r\n'],
    ['a NUL', 'X-A: a\0b\r\n'],
    ['a folded line', 'X-A: a\r\n b\r\n'],
    ['a space before the colon', 'X-A : a\r\n'],
    ['no number in Content-Length', 'Content-Length: +5\r\n'],
  ])('answers 400 to %s, with a correlation id', async (_, headers) => {
    const { status, text } = await raw('/orders/one', headers);
    expect(status).toBe(400);
    expect(text).toMatch(/Content-Type: application\/problem\+json/);
    expect(problemIn(text).correlationId).toBe(/X-Correlation-Id: (\S+)/.exec(text)?.[1]);
  });

  it('answers what is no HTTP with a problem, and closes', async () => {
    const text = await gate.exchange('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03');
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(problemIn(text)).toMatchObject({ code: 'malformed_request' });
    expect(text).not.toMatch(/HPE|llhttp|node/i);
  });

  it('answers 408 to headers that do not come', async () => {
    expect(await gate.exchange('GET /orders/one HTTP/1.1\r\nHost: a.ex')).toMatch(
      /^HTTP\/1\.1 408 [\s\S]*request_timeout/,
    );
  });

  const get = async (query: string) => {
    const response = await fetch(`${gate.url}/orders?${query}`);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const post = async (body: unknown, path = '/orders') => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(gate.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it.each([
    [`status=${encodeURIComponent("' OR 1=1--")}`, 'sqli-tautology', '/status'],
    ['status=1+union+select+1,2,3', 'sqli-union', '/status'],
    ['status[$ne]=x', 'nosqli-operator-name', ''],
    ['status=../../etc/passwd', 'traversal-start', '/status'],
    ['status=a%0d%0aSet-Cookie:%20x=1', 'crlf-query', '/status'],
    ['a=1&a=%2527%2520or%25201=1', 'sqli-tautology', '/a/1'],
  ])('answers 403 to the query %s by the rule %s', async (query, ruleId, path) => {
    const before = await gate.refusals(ruleId);
    expect(await get(query)).toMatchObject({
      status: 403,
      body: { code: 'firewall_rule', ruleId, errors: [{ path }] },
    });
    expect(await gate.refusals(ruleId)).toBe(before + 1);
  });

  it.each(["O'Brien", 'select a date from the list', '50% off', 'C:\\Users', '<3 you'])(
    'lets ordinary text pass: %s',
    async (text) => {
      expect((await get(`status=${encodeURIComponent(text)}`)).status).toBe(200);
      expect((await post({ name: text })).status).toBe(201);
    },
  );

  it('looks for signatures in values and names of the body, nested ones too', async () => {
    expect(await post({ name: "x' or 'a'='a" })).toMatchObject({
      status: 403,
      body: { ruleId: 'sqli-tautology', errors: [{ path: '/name' }] },
    });
    expect(await post({ name: { $gt: '' } })).toMatchObject({ status: 403, body: { ruleId: 'nosqli-operator-name' } });
    expect(await post({ lines: [{ sku: '../../x' }] })).toMatchObject({ body: { errors: [{ path: '/lines/0/sku' }] } });
  });

  it('leaves alone what a DTO declares as free text: in lists, in nested and in mapped types, in the query', async () => {
    const attack = '\'; DROP TABLE users; -- ../../etc/passwd {"$gt": 1}';
    expect(
      (await post({ message: attack, lines: [{ sku: 'a', remark: attack }], first: { remark: attack } })).status,
    ).toBe(201);
    expect((await post({ message: attack, lines: [{ remark: attack }] }, '/orders/changes')).status).toBe(201);
    expect((await post({ name: attack, message: '' }, '/orders/changes')).status).toBe(403);
    expect((await get(`q=${encodeURIComponent(attack)}`)).status).toBe(200);
    expect((await post({ message: 'a\0b' })).body).toMatchObject({ ruleId: 'nul-byte' });
  });

  it('logs the rule and the place, and never the value', async () => {
    await post({ name: "ssn 123-45-6789' or 1=1" });
    const line = gate.log.at(-1) ?? '';
    expect(JSON.parse(line)).toMatchObject({
      rule: 'sqli-tautology',
      place: 'body',
      correlationId: expect.any(String) as string,
    });
    expect(gate.log.join('')).not.toMatch(/3-45-6789|DROP|passwd/);
  });

  it('answers nothing with a 500, whatever the target, the headers and the body', async () => {
    const character = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          '%',
          '2',
          'e',
          '.',
          '/',
          '\\',
          '?',
          '&',
          '=',
          '[',
          ']',
          '$',
          "'",
          '%00',
          '%0d',
          '%ff',
          ';',
          '#',
        ),
      },
      fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 1 }),
    );
    const part = fc.array(character, { maxLength: 30 }).map((list) => list.join('').replaceAll(/[\r\n]/g, ''));
    await fc.assert(
      fc.asyncProperty(part, part, fc.jsonValue(), async (target, header, body) => {
        const { status } = await raw(`/orders${target}`, `X-Any: ${header}\r\n`);
        expect(status).toBeGreaterThanOrEqual(200);
        expect(status).toBeLessThan(500);
        expect((await post(body)).status).toBeLessThan(500);
      }),
      { numRuns: 150 },
    );
  });
});
