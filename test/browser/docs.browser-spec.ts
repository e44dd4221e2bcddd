import type { Browser, Page } from 'playwright-core';
import { tokenFor } from '../support/api';
import type { GateProcess } from '../support/process';
import { World } from '../support/world';
import { complaintsOf, openBrowser, openPage } from './browser';

describe('Swagger UI at /docs', () => {
  let world: World;
  let gate: GateProcess;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    browser = await openBrowser();
    world = await World.create();
    gate = await world.start();
  });
  afterAll(async () => {
    await browser.close();
    await world.end();
  });
  beforeEach(async () => {
    page = await openPage(browser);
    await page.goto(`${gate.url}/docs`, { timeout: 30_000 });
    await page.getByRole('button', { name: 'Authorize' }).first().click();
  });
  afterEach(() => page.context().close());

  /** Executes `GET /me` and tells the status and body that the page shows. */
  const me = async (): Promise<{ status: string; body: string }> => {
    await page.getByRole('button', { name: 'Close', exact: true }).first().click();
    const operation = page.locator('.opblock', { has: page.locator('[data-path="/me"]') });
    await operation.locator('.opblock-summary-control').click();
    await operation.getByRole('button', { name: 'Execute' }).click();
    const live = operation.locator('.live-responses-table .response');
    await live.waitFor();
    return {
      status: await live.locator('.response-col_status').innerText(),
      body: await live.locator('.response-col_description').innerText(),
    };
  };

  it('authorises with the development issuer as it stands, and GET /me answers 200', async () => {
    const complaints = complaintsOf(page);
    const scheme = page.locator('.auth-container', { hasText: 'clientCredentials' });
    await scheme.getByRole('button', { name: 'Apply given OAuth2 credentials' }).click();
    await scheme.getByRole('button', { name: 'Remove authorization' }).waitFor();
    const { status, body } = await me();
    expect(status).toMatch(/^200/);
    expect(body).toContain('"role": "scheduling_agent"');
    expect(complaints).toEqual([]);
  });

  it('authorises with a pasted token, and GET /me answers 200', async () => {
    const scheme = page.locator('.auth-container', { hasText: 'http, Bearer' });
    await scheme.getByRole('textbox').fill(await tokenFor(gate, { sub: 'user_olu', role: 'operator' }));
    await scheme.getByRole('button', { name: 'Apply credentials' }).click();
    const { status, body } = await me();
    expect(status).toMatch(/^200/);
    expect(body).toContain('"userId": "user_olu"');
  });

  it('lets its page run nothing inline, load nothing from elsewhere, and be framed by nobody', async () => {
    const html = await (await fetch(`${gate.url}/docs`)).text();
    const files = [...html.matchAll(/ (?:src|href)="([^"]+)"/g)].map(([, file = '']) => file);
    expect(files.length).toBeGreaterThan(3);
    for (const path of ['/docs', ...files.map((file) => new URL(file, `${gate.url}/docs`).pathname)]) {
      const { status, headers } = await fetch(gate.url + path);
      expect([path, status]).toEqual([path, 200]);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'self'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toMatch(/script-src|unsafe-eval/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
    }
  });

  it('answers 401 without authorisation', async () => {
    expect((await me()).status).toMatch(/^401/);
  });
});
