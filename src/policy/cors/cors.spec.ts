import { All, Controller, Delete, Get, Param, Post, Put } from '@nestjs/common';
import fc from 'fast-check';
import { type SmallGate, startSmallGate } from '../firewall/small-gate.spec-support';
import { OriginList } from './origin-list';

@Controller('shelves')
class ShelvesController {
  @Get()
  list() {
    return [];
  }

  @Post()
  create() {
    return {};
  }

  @Get('first')
  first() {
    return {};
  }

  @Put(':id')
  put(@Param('id') id: string) {
    return { id };
  }

  @Delete(':id/books/:book')
  remove() {
    return {};
  }
}

@Controller()
class OddController {
  @Get(':owner/:repo/raw/*path')
  raw() {
    return {};
  }

  @All('anything')
  all() {
    return {};
  }
}

const shop = 'https://shop.example';
const allowed = [shop, 'http://localhost:5173', 'https://desk.example:8443'];

describe('CORS', () => {
  let gate: SmallGate;
  beforeAll(async () => {
    gate = await startSmallGate([ShelvesController, OddController], {
      CORS_ORIGINS: allowed.join(','),
      FIREWALL_IP_PER_SECOND: '100000',
      FIREWALL_IP_BURST: '100000',
    });
  });
  afterAll(() => gate.close());

  const call = async (method: string, path: string, headers: Record<string, string> = {}) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const host = 'Host' in headers ? '' : `Host: api.example\r\n`;
    const text = await gate.exchange(`${method} ${path} HTTP/1.1\r\n${host}${lines.join('')}Connection: close\r\n\r\n`);
    const [head = '', body = ''] = text.split('\r\n\r\n');
    const fields = head
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(': ') as [string, string]);
    return { status: Number(head.slice(9, 12)), headers: new Map(fields), body };
  };
  const preflight = (origin: string, path = '/shelves', method = 'POST') =>
    call('OPTIONS', path, {
      Origin: origin,
      'Access-Control-Request-Method': method,
      'Access-Control-Request-Headers': 'content-type,x-evil',
    });
  const corsOf = (answer: Awaited<ReturnType<typeof call>>) =>
    [...answer.headers.keys()].filter((name) => name.startsWith('Access-Control-'));

  it.each(allowed)('answers the preflight of %s with the methods that the path has', async (origin) => {
    const answer = await preflight(origin);
    expect(answer.status).toBe(204);
    expect(answer.headers.get('Access-Control-Allow-Origin')).toBe(origin);
    expect(answer.headers.get('Access-Control-Allow-Methods')).toBe('GET, HEAD, OPTIONS, POST');
    expect(answer.headers.get('Access-Control-Max-Age')).toBe('86400');
    expect(answer.headers.get('Vary')).toBe('Origin, Access-Control-Request-Method, Access-Control-Request-Headers');
    expect(answer.headers.get('Access-Control-Allow-Headers')).toMatch(/^Authorization, Content-Type, Idempotency-Key/);
    expect(answer.headers.get('Access-Control-Allow-Headers')).not.toMatch(/evil/i);
    expect(answer.headers.get('Access-Control-Allow-Credentials')).toBeUndefined();
    expect(answer.headers.get('X-Correlation-Id')).toBeDefined();
    expect(answer.headers.get('X-Request-Id')).toBeDefined();
  });

  it.each([
    ['/shelves/', 'GET, HEAD, OPTIONS, POST'],
    ['/SHELVES?x=1', 'GET, HEAD, OPTIONS, POST'],
    ['/shelves/first', 'GET, HEAD, OPTIONS, PUT'],
    ['/shelves/7', 'OPTIONS, PUT'],
    ['/shelves/7/books/a%20b', 'DELETE, OPTIONS'],
    ['/a/b/raw/c/d/e', 'GET, HEAD, OPTIONS'],
    ['/anything', 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT'],
  ])('knows the methods of %s', async (path, methods) => {
    const asked = await preflight(shop, path, 'TRACE');
    expect([asked.status, asked.headers.get('Access-Control-Allow-Methods')]).toEqual([204, methods]);
    const plain = await call('OPTIONS', path);
    expect([plain.status, plain.headers.get('Allow')]).toEqual([204, methods]);
  });

  it.each(['/nowhere', '/shelves/7/books', '/', '/shelvesx'])(
    'answers 404 to the preflight of the unknown path %s',
    async (path) => {
      const answer = await preflight(shop, path);
      expect([answer.status, corsOf(answer)]).toEqual([404, []]);
    },
  );

  const refused = [
    'null',
    'http://shop.example',
    'https://shop.example:444',
    'https://shop.example:443',
    'https://SHOP.example',
    'HTTPS://shop.example',
    'https://shop.example.',
    'https://shop.example/',
    'https://shop.example.evil.example',
    'https://evilshop.example',
    'https://a.shop.example',
    'https://user@shop.example',
    'https://shop.example@evil.example',
    'https://shop.example#',
    'https://shop.example, https://evil.example',
    'https://desk.example',
    'http://localhost',
    'http://localhost:51730',
    '*',
    'https://ѕhop.example',
    'https://shop%2eexample',
  ];
  it.each(refused)(
    'refuses the origin %s: a preflight and a write with 403, a read without CORS headers',
    async (origin) => {
      const asked = await preflight(origin);
      expect([asked.status, corsOf(asked)]).toEqual([403, []]);
      expect(asked.body).toContain('origin_refused');
      const written = await call('POST', '/shelves', { Origin: origin });
      expect([written.status, corsOf(written)]).toEqual([403, []]);
      const read = await call('GET', '/shelves', { Origin: origin });
      expect([read.status, corsOf(read), read.headers.get('Vary')]).toEqual([200, [], 'Origin']);
    },
  );

  it('allows no origin that is not listed, whatever is made of one that is', () => {
    const list = gate.app.get(OriginList);
    const pieces = fc.constantFrom(
      'https',
      'http',
      ':',
      '/',
      '//',
      'shop',
      '.',
      'example',
      ':443',
      '@',
      'desk',
      ':8443',
      'null',
      '*',
      '\\',
      '%00',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 9 }), (parts) => {
        const origin = parts.join('');
        return list.has(origin) === allowed.includes(origin);
      }),
    );
  });

  it.each(['GET', 'POST'])('lets the page of an allowed origin read the answer to %s', async (method) => {
    const answer = await call(method, '/shelves', { Origin: shop });
    expect(answer.status).toBe(method === 'GET' ? 200 : 201);
    expect(answer.headers.get('Access-Control-Allow-Origin')).toBe(shop);
    expect(answer.headers.get('Vary')).toBe('Origin');
    for (const name of [
      'X-Correlation-Id',
      'RateLimit',
      'Retry-After',
      'Idempotent-Replayed',
      'WWW-Authenticate',
      'X-OAuth-Scopes',
      'X-Accepted-OAuth-Scopes',
    ]) {
      expect(answer.headers.get('Access-Control-Expose-Headers')).toContain(name);
    }
  });

  it('lets the page of an allowed origin read errors, too', async () => {
    const answer = await call('GET', '/nowhere', { Origin: shop });
    expect([answer.status, answer.headers.get('Access-Control-Allow-Origin')]).toEqual([404, shop]);
  });

  it('says nothing but Vary to who comes from no page', async () => {
    const answer = await call('POST', '/shelves');
    expect([answer.status, corsOf(answer), answer.headers.get('Vary')]).toEqual([201, [], 'Origin']);
  });

  it.each([
    ['http://localhost:3000', 'localhost:3000', 201],
    ['http://127.0.0.1:3000', '127.0.0.1:3000', 201],
    ['http://[::1]:3000', '[::1]:3000', 201],
    ['http://10.1.2.3', '10.1.2.3', 201],
    ['https://localhost:3000', 'localhost:3000', 403],
    ['http://localhost:3001', 'localhost:3000', 403],
    ['http://rebound.example:3000', 'rebound.example:3000', 403],
    ['http://localhost.evil.example', 'localhost.evil.example', 403],
    ['http://127.0.0.1.evil.example', '127.0.0.1.evil.example', 403],
  ])('takes %s for a page of its own when asked as %s → %i', async (origin, host, status) => {
    expect((await call('POST', '/shelves', { Origin: origin, Host: host })).status).toBe(status);
  });

  it('answers OPTIONS * and an unknown path', async () => {
    expect((await call('OPTIONS', '*')).status).toBe(204);
    expect((await call('OPTIONS', '/nowhere')).status).toBe(404);
  });

  it('takes another list from the next request on, and keeps the old one where the new is not exact', async () => {
    const list = gate.app.get(OriginList);
    list.replace(['https://new.example']);
    expect((await preflight('https://new.example')).status).toBe(204);
    expect((await preflight(shop)).status).toBe(403);
    for (const wrong of [
      '*',
      'null',
      'https://*.example',
      'https://new.example/',
      'ftp://new.example',
      'https://NEW.example',
    ]) {
      expect(() => list.replace([wrong])).toThrow('must be exact');
    }
    expect(list.has('https://new.example')).toBe(true);
    list.replace([]);
    expect((await call('GET', '/shelves')).headers.get('Vary')).toBeUndefined();
    list.replace(allowed);
  });

  it('lets a wrong method on a known path be told the right ones', async () => {
    const answer = await call('PATCH', '/shelves/7?x');
    expect([answer.status, answer.headers.get('Allow')]).toEqual([405, 'OPTIONS, PUT']);
    expect((await call('PATCH', '/nowhere')).status).toBe(404);
  });
});
