import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { Browser, Page } from 'playwright-core';
import { tokenFor } from '../support/api';
import type { GateProcess } from '../support/process';
import { until } from '../support/until';
import { World } from '../support/world';
import { openBrowser, openPage } from './browser';

interface Seen {
  readonly status?: number;
  readonly correlationId?: string | null;
  readonly body?: Record<string, unknown>;
  /** What `fetch` threw: the browser withheld the answer. */
  readonly refused?: string;
}

/** A storefront: one empty page on an origin of its own. */
async function storefront(): Promise<Server> {
  const server = createServer((_request, response) => {
    response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>A storefront</title>');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server;
}

const originOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

describe('pages on other origins', () => {
  let world: World;
  let gate: GateProcess;
  let browser: Browser;
  let listed: Server;
  let unlisted: Server;
  let page: Page;
  let token: string;

  beforeAll(async () => {
    browser = await openBrowser();
    [listed, unlisted] = [await storefront(), await storefront()];
    world = await World.create();
    gate = await world.start({ CORS_ORIGINS: originOf(listed) });
    token = await tokenFor(gate, { role: 'operator', sub: 'user_olu', client_id: 'app_store' });
  });
  afterAll(async () => {
    await browser.close();
    await world.end();
    listed.close();
    unlisted.close();
  });
  beforeEach(async () => {
    page = await openPage(browser);
  });
  afterEach(() => page.context().close());

  /** What a page of that origin sees of the answer. */
  const fetchFrom = async (shop: Server, path: string, init: Record<string, unknown> = {}): Promise<Seen> => {
    await page.goto(originOf(shop));
    return page.evaluate(
      async ([url, options]): Promise<Seen> => {
        try {
          const response = await fetch(url, options);
          const body = (await response.json()) as Record<string, unknown>;
          return { status: response.status, correlationId: response.headers.get('X-Correlation-Id'), body };
        } catch (error) {
          return { refused: String(error) };
        }
      },
      [gate.url + path, init] as const,
    );
  };
  const post = (clientId: string, correlationId = 'from-the-storefront') => ({
    method: 'POST',
    headers: {
      Authorization: `Bearer ${token}`,
      'Content-Type': 'application/json',
      'X-Correlation-Id': correlationId,
    },
    body: JSON.stringify({ clientId }),
  });
  const revoked = async (clientId: string) =>
    (await world.sql('SELECT FROM revocations WHERE value = $1', [clientId])).length > 0;

  it('lets a listed origin send JSON with a token, after a preflight, and read the exposed headers', async () => {
    const preflights: string[] = [];
    const devtools = await page.context().newCDPSession(page);
    await devtools.send('Network.enable');
    devtools.on('Network.requestWillBeSent', ({ request }) => {
      if (request.method === 'OPTIONS') preflights.push(request.url);
    });
    const seen = await fetchFrom(listed, '/auth/revocations', post('app_gone'));
    expect(seen).toMatchObject({ status: 201, correlationId: 'from-the-storefront', body: { clientId: 'app_gone' } });
    expect(await revoked('app_gone')).toBe(true);
    expect(preflights).toEqual([`${gate.url}/auth/revocations`]);
  });

  it('lets a listed origin read the problem of a refusal, with its correlation id', async () => {
    const seen = await fetchFrom(listed, '/me', { headers: { Authorization: 'Bearer nonsense' } });
    expect(seen).toMatchObject({ status: 401, body: { status: 401 } });
    expect(seen.correlationId).toBe(seen.body?.correlationId);
  });

  it('lets an origin that is not listed send nothing with a token: the preflight already fails', async () => {
    expect(await fetchFrom(unlisted, '/auth/revocations', post('app_kept', 'from-a-stranger'))).toEqual({
      refused: 'TypeError: Failed to fetch',
    });
    expect(await revoked('app_kept')).toBe(false);
    await fetchFrom(listed, '/auth/revocations', post('app_gone', 'from-the-next'));
    await until(() => gate.log.includes('from-the-next'));
    expect(gate.log).not.toContain('from-a-stranger');
  });

  it('lets an origin that is not listed read nothing, though it needs no preflight', async () => {
    expect(await fetchFrom(listed, '/health/live')).toMatchObject({ status: 200 });
    expect(await fetchFrom(unlisted, '/health/live')).toEqual({ refused: 'TypeError: Failed to fetch' });
  });

  it('lets a page without an origin (a sandboxed frame) read nothing', async () => {
    await page.goto(originOf(listed));
    await page.setContent(
      `<iframe sandbox="allow-scripts" srcdoc="<script>
         fetch('${gate.url}/health/live').then(() => 'read', () => 'refused').then((word) => parent.postMessage(word, '*'))
       </script>"></iframe>
       <output></output><script>onmessage = ({ data }) => { document.querySelector('output').textContent = data }</script>`,
    );
    await page.locator('output', { hasText: /read|refused/ }).waitFor();
    expect(await page.locator('output').textContent()).toBe('refused');
  });
});
