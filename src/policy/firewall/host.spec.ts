import { Controller, Get } from '@nestjs/common';
import { type SmallGate, startSmallGate } from './small-gate.spec-support';

@Controller('orders')
class OrdersController {
  @Get('one')
  one() {
    return {};
  }
}

describe('the Host of a request', () => {
  let gate: SmallGate;
  beforeAll(async () => {
    gate = await startSmallGate([OrdersController]);
  });
  afterAll(() => gate.close());

  const exchange = (headers: string, version = '1.1') =>
    gate.exchange(`GET /orders/one HTTP/${version}\r\n${headers}Connection: close\r\n\r\n`);

  // RFC 9112 §3.2.
  it.each<readonly [string, string, string]>([
    ['missing', '', 'host-missing'],
    ['there twice', 'Host: a.example\r\nHost: b.example\r\n', 'header-repeated'],
    ['there twice, the same', 'Host: a.example\r\nhost: a.example\r\n', 'header-repeated'],
    ['empty', 'Host:\r\n', 'host-malformed'],
    ...['a b', 'a/b', 'user@a.example', 'a.example:x', 'a,b'].map(
      (host) => [host, `Host: ${host}\r\n`, 'host-malformed'] as const,
    ),
  ])('is refused where it is %s: a counted problem with ids', async (_, headers, rule) => {
    const before = await gate.refusals(rule);
    const text = await exchange(headers);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toMatch(/\r\nContent-Type: application\/problem\+json/);
    expect(text).toMatch(/\r\nX-Request-Id: \S/);
    const problem = JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)) as Record<string, unknown>;
    const correlationId = /X-Correlation-Id: (\S+)/.exec(text)?.[1];
    expect(problem).toMatchObject({ status: 400, code: 'malformed_request', correlationId });
    expect(await gate.refusals(rule)).toBe(before + 1);
  });

  it.each(['localhost:3000', '[::1]:3000', 'a_b.example', '127.0.0.1'])('is taken where it is %s', async (host) => {
    expect(await exchange(`Host: ${host}\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('may be missing in HTTP/1.0, which did not know it', async () => {
    expect(await exchange('', '1.0')).toMatch(/^HTTP\/1\.1 200 /);
  });
});
