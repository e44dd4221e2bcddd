import { Controller, Get } from '@nestjs/common';
import fc from 'fast-check';
import { ManualClock } from '../../platform/config';
import { AddressLimit } from './address-limit';
import { addressKey } from './addresses';
import { type SmallGate, startSmallGate } from './small-gate.spec-support';

@Controller('orders')
class OrdersController {
  @Get('one')
  one() {
    return {};
  }
}

const start = 1_790_000_000_000;

describe('the limit of an address', () => {
  const passes = (limit: AddressLimit, key: string, now: number, times: number) => {
    let passed = 0;
    for (let count = 0; count < times; count++) if (limit.take(key, now) === 0) passed++;
    return passed;
  };

  it.each([
    [200, 400],
    [3, 7],
    [1, 1],
    [1000, 1],
  ])('lets a burst through, and then %i a second (burst %i)', (perSecond, burst) => {
    const limit = new AddressLimit(perSecond, burst);
    expect(passes(limit, 'a', start, burst * 3)).toBe(burst);
    let passed = 0;
    for (let ms = 1; ms <= 10_000; ms++) passed += passes(limit, 'a', start + ms, 2);
    expect(passed).toBeGreaterThanOrEqual(perSecond * 10 - 1);
    expect(passed).toBeLessThanOrEqual(perSecond * 10 + 1);
  });

  it('tells how long to wait, and a refused request costs nothing', () => {
    const limit = new AddressLimit(1, 2);
    passes(limit, 'a', start, 2);
    const wait = limit.take('a', start);
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(1000);
    passes(limit, 'a', start, 50);
    expect(limit.take('a', start + wait)).toBe(0);
  });

  it('counts each address for itself', () => {
    const limit = new AddressLimit(1, 1);
    expect([limit.take('a', start), limit.take('b', start), limit.take('a', start) > 0]).toEqual([0, 0, true]);
  });

  it('locks nobody out when the clock is set back by an hour', () => {
    const limit = new AddressLimit(10, 10);
    passes(limit, 'a', start, 10);
    const back = start - 3_600_000 + 1_100;
    const waitMs = limit.take('a', back);
    expect(waitMs).toBeGreaterThan(0);
    expect(waitMs).toBeLessThanOrEqual(100);
    expect(limit.take('a', back + waitMs / 2)).toBeCloseTo(waitMs / 2, 1);
    expect(limit.take('a', back + waitMs)).toBe(0);
    expect(passes(limit, 'a', back + waitMs + 1_000, 20)).toBe(10);
  });

  it('keeps a limited address limited under a flood of others, in bounded memory', () => {
    const limit = new AddressLimit(1, 100, 1_000);
    passes(limit, 'limited', start, 100);
    for (let other = 0; other < 50_000; other++) limit.take(`other ${other}`, start);
    expect(limit.size).toBe(1_000);
    expect(limit.take('limited', start)).toBeGreaterThan(0);
  });

  it('limits newcomers together while the table is full of addresses in debt', () => {
    const limit = new AddressLimit(1, 1, 10);
    for (let other = 0; other < 10; other++) limit.take(`first ${other}`, start);
    let passed = 0;
    for (let other = 0; other < 100_000; other++) if (limit.take(`newcomer ${other}`, start) === 0) passed++;
    expect(passed).toBeLessThanOrEqual(4_096);
    expect(passed).toBeGreaterThan(3_000);
  });

  it('forgets addresses whose bucket is full again', () => {
    const limit = new AddressLimit(100, 10, 1_000);
    for (let other = 0; other < 1_000; other++) limit.take(`old ${other}`, start);
    for (let other = 0; other < 1_000; other++) limit.take(`new ${other}`, start + 60_000 + other);
    expect(limit.size).toBeLessThan(400);
  });
});

describe('the key of an address', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7'],
    ['192.0.2.7:51234', '192.0.2.7'],
    ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
    ['2001:0DB8:0000:0001:ffff:ffff:ffff:ffff', '2001:db8:0:1::/64'],
    ['2001:db8:0:2::1', '2001:db8:0:2::/64'],
    ['2001:db8::192.0.2.7', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['', 'unknown'],
    ['999.1.1.1', 'unknown'],
    ['::ffff:999.1.1.1', 'unknown'],
    ['[2001:db8::1]', 'unknown'],
    ['_hidden', 'unknown'],
  ])('of %s is %s', (ip, key) => expect(addressKey(ip)).toBe(key));

  it('is the same for all addresses of a /64, however they are written', () => {
    fc.assert(
      fc.property(fc.ipV6(), (ip) => {
        const key = addressKey(ip);
        return key !== 'unknown' && addressKey(ip.toUpperCase()) === key;
      }),
    );
  });
});

describe('the address limit of the firewall', () => {
  let gate: SmallGate;
  afterEach(() => gate.close());

  it('answers 429 with Retry-After, also for paths that do not exist, and lets the address back in', async () => {
    const clock = new ManualClock();
    gate = await startSmallGate([OrdersController], { FIREWALL_IP_PER_SECOND: '1', FIREWALL_IP_BURST: '3' }, clock);
    const statuses = async (...paths: string[]) => {
      const seen: number[] = [];
      for (const path of paths) seen.push((await fetch(gate.url + path)).status);
      return seen;
    };
    expect(await statuses('/orders/one', '/nowhere', '/orders/one', '/orders/one', '/nowhere')).toEqual([
      200, 404, 200, 429, 429,
    ]);
    const refused = await fetch(`${gate.url}/orders/one`);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.headers.get('x-correlation-id')).toBeTruthy();
    const resetAt = Number(refused.headers.get('x-rate-limit-reset')) * 1000;
    expect(resetAt).toBeGreaterThan(clock.now());
    expect(resetAt).toBeLessThanOrEqual(clock.now() + 2000);
    expect(Object.fromEntries(refused.headers)).toMatchObject({
      'x-rate-limit-limit': '3',
      'x-rate-limit-remaining': '0',
      'ratelimit-policy': '"address";q=3;w=3',
      ratelimit: '"address";r=0;t=1',
    });
    expect(await refused.json()).toMatchObject({
      code: 'address_rate_limited',
      error: 'Rate limit exceeded',
      retryAfter: 1,
    });
    expect(await gate.refusals('address-rate')).toBe(3);
    clock.advance(1000);
    expect(await statuses('/orders/one', '/orders/one')).toEqual([200, 429]);
  });

  it('counts the clients behind a trusted proxy apart, and those of one /64 together', async () => {
    gate = await startSmallGate(
      [OrdersController],
      {
        FIREWALL_IP_PER_SECOND: '1',
        FIREWALL_IP_BURST: '1',
        TRUST_PROXY_HOPS: '1',
      },
      new ManualClock(),
    );
    const from = async (ip: string) =>
      (await fetch(`${gate.url}/orders/one`, { headers: { 'x-forwarded-for': ip } })).status;
    expect(await from('192.0.2.1')).toBe(200);
    expect(await from('192.0.2.2')).toBe(200);
    expect(await from('::ffff:192.0.2.1')).toBe(429);
    expect(await from('2001:db8::1')).toBe(200);
    expect(await from('2001:db8::ffff:2')).toBe(429);
    expect(await from('2001:db8:0:1::1')).toBe(200);
  });
});
