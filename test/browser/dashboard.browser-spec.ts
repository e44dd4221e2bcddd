import type { Browser, Page } from 'playwright-core';
import { call, tokenFor } from '../support/api';
import { HeldClock } from '../support/held-clock';
import type { GateProcess } from '../support/process';
import { until } from '../support/until';
import { World } from '../support/world';
import { complaintsOf, openBrowser, openPage, violationsOn } from './browser';

const pages = ['Overview', 'Dead letters', 'Revocations', 'Usage plans', 'App usage'] as const;
const correlationId = /Correlation id [\w.-]+/;

describe('the dashboard', () => {
  let world: World;
  let gate: GateProcess;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    browser = await openBrowser();
    world = await World.create();
    // No worker: what a test makes a dead letter of stays as the test left it.
    gate = await world.start({ GATEHOUSE_ROLE: 'api' });
  });
  afterAll(async () => {
    await browser.close();
    await world.end();
  });
  beforeEach(async () => {
    page = await openPage(browser);
  });
  afterEach(() => page.context().close());

  const signIn = async (user = 'Operator', on = gate) => {
    await page.goto(`${on.url}/dashboard`);
    await page.getByRole('button', { name: user }).click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
  };
  const open = async (name: (typeof pages)[number]) => {
    await page.getByRole('link', { name, exact: true }).click();
    await page.getByRole('heading', { name, level: 1 }).waitFor();
  };
  const revoke = async (kind: string, value: string) => {
    await open('Revocations');
    await page.getByLabel('Revoke').selectOption(kind);
    await page.getByLabel(/Value of the claim/).fill(value);
    await page.getByRole('button', { name: 'Revoke' }).click();
  };

  it('signs the operator in with one click, and says who they are and how the node is', async () => {
    await signIn();
    await page.getByText('Ready', { exact: true }).waitFor();
    const words = await page.getByRole('main').innerText();
    expect(words).toMatch(/Postgres\s+up/);
    expect(words).toMatch(/Role\s+operator/);
    expect(words).toMatch(/App\s+gatehouse_dashboard/);
  });

  it('signs in with a pasted token where the server is not its own issuer, and offers no demo user there', async () => {
    const elsewhere = await world.start({ AUTH_ISSUER: gate.url, GATEHOUSE_ROLE: 'api' });
    const token = await tokenFor(gate, { sub: 'user_olu', role: 'operator' });
    const probe = page.waitForResponse(`${elsewhere.url}/.well-known/openid-configuration`);
    await page.goto(`${elsewhere.url}/dashboard`);
    expect((await probe).status()).toBe(404);
    expect(await page.getByText('Demo users').count()).toBe(0);
    await page.getByLabel('Access token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    expect(await page.getByRole('banner').innerText()).toContain('user_olu');
  });

  it('shows what the API says of a token that it refuses, with the correlation id', async () => {
    await page.goto(`${gate.url}/dashboard`);
    await page.getByLabel('Access token').fill('not.a.token');
    await page.getByRole('button', { name: 'Sign in' }).click();
    const refused = await call(gate, '/me', { token: 'not.a.token' });
    const note = await page.getByRole('alert').innerText();
    expect(note).toContain(refused.body.error);
    expect(note).toMatch(correlationId);
  });

  it('keeps the session over a reload in its tab only, and forgets it on sign-out', async () => {
    await signIn();
    await open('Revocations');
    await page.reload();
    await page.getByRole('heading', { name: 'Revocations' }).waitFor();

    const other = await page.context().newPage();
    await other.goto(`${gate.url}/dashboard`);
    await other.getByRole('button', { name: 'Sign in' }).waitFor();

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    await page.reload();
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
  });

  it('goes back and forth with the browser’s own buttons, and has a page for an address that has none', async () => {
    await signIn();
    await open('Dead letters');
    await open('Usage plans');
    await page.goBack();
    await page.getByRole('heading', { name: 'Dead letters' }).waitFor();
    expect(await page.title()).toBe('Dead letters · Gatehouse');
    await page.goForward();
    await page.getByRole('heading', { name: 'Usage plans' }).waitFor();
    await page.goto(`${gate.url}/dashboard/nowhere`);
    await page.getByRole('heading', { name: 'No such page' }).waitFor();
  });

  it('lists the dead letters of all tenants, page by page, and retries one', async () => {
    await world.sql(
      `INSERT INTO outbox_events (id, tenant_id, type, payload, correlation_id, relayed_at)
       SELECT format('evt_%s', lpad(n::text, 26, '0')), format('practice_p%s', lpad(n::text, 3, '0')), 'appointment.booked',
              '{}', format('corr-%s', n), now()
       FROM generate_series(1, 25) AS n`,
    );
    await world.sql(
      `INSERT INTO event_deliveries (event_id, consumer, tenant_id, state, attempts, draw_at, last_error_class, finished_at)
       SELECT id, 'crm', tenant_id, 'dead', 9, NULL, 'status_400', now() FROM outbox_events`,
    );
    await signIn();
    await open('Dead letters');
    const rows = page.locator('tbody tr');
    await rows.first().waitFor();
    expect(await rows.count()).toBe(20);
    await page.getByRole('button', { name: 'Show more' }).click();
    await rows.nth(24).waitFor();
    expect(await rows.first().innerText()).toMatch(/appointment\.booked[^]*practice_p025[^]*status_400[^]*corr-25/);

    const id = `evt_${'25'.padStart(26, '0')}`;
    await page.getByRole('button', { name: `Retry appointment.booked to crm, ${id}.crm` }).click();
    await page.getByText('appointment.booked is on its way to crm again').waitFor();
    expect(await rows.count()).toBe(24);
    expect(await page.getByText(id).count()).toBe(0);
    expect(await world.sql('SELECT state FROM event_deliveries WHERE event_id = $1', [id])).toEqual([
      { state: 'pending' },
    ]);
  });

  it('revokes a user’s tokens, which the API then refuses', async () => {
    const token = await tokenFor(gate, { sub: 'user_leaver', client_id: 'app_frontdesk' });
    expect((await call(gate, '/me', { token })).status).toBe(200);
    await signIn();
    await revoke('sub', 'user_leaver');
    await page.getByText('Revoked the tokens of user user_leaver').waitFor();
    await until(async () => (await call(gate, '/me', { token })).status === 401, 1_000);
    const row = page.locator('tbody tr', { hasText: 'user_leaver' });
    await row.waitFor();
    expect(await row.innerText()).toMatch(/All tokens of a user[^]*user_operator/);
  });

  it('warns of revoking oneself, and says why the session then ended', async () => {
    const token = await tokenFor(gate, { sub: 'user_hasty', client_id: 'app_hasty', role: 'operator' });
    await page.goto(`${gate.url}/dashboard`);
    await page.getByLabel('Access token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await open('Revocations');
    await page.getByLabel('Revoke').selectOption('clientId');
    await page.getByLabel(/Value of the claim/).fill('app_hasty');
    await page.getByText('you will be signed out').waitFor();
    await page.getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('Your session has ended').waitFor();
    expect(await page.getByRole('alert').innerText()).toMatch(correlationId);
  });

  it('gives an app another usage plan', async () => {
    await signIn();
    await open('Usage plans');
    await page.getByLabel('App (client_id)').fill('app/with a slash');
    await page.getByLabel('Plan', { exact: true }).selectOption('enterprise');
    await page.getByRole('button', { name: 'Give the plan' }).click();
    const row = page.locator('tbody tr', { hasText: 'app/with a slash' });
    await row.waitFor();
    expect(await row.innerText()).toMatch(/enterprise[^]*user_operator/);
  });

  it('shows which apps ask most and which are refused, this hour and the last', async () => {
    const clock = new HeldClock(world);
    const node = await world.start({ GATEHOUSE_ROLE: 'api', ...clock.environment });
    const rude = { sub: 'user_rude', client_id: 'app_rude', workspace_id: 'T0', scope: 'team:read' };
    const token = await tokenFor(node, rude);
    const answers = await Promise.all(Array.from({ length: 5 }, () => call(node, '/api/team.info', { token })));
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(4);
    await signIn('Operator', node);
    await open('App usage');
    const row = page.getByRole('row', { name: 'app_rude 5 4 standard', exact: true });
    await until(async () => {
      await page.getByRole('button', { name: 'Refresh' }).click();
      await page.locator('.card[aria-busy=false]').waitFor();
      return (await row.count()) === 1;
    });
    await page.getByLabel('Order').selectOption('Most refused first');
    const table = page.getByRole('table', { name: 'Most refused first, this hour' });
    await table.locator('tbody tr').first().waitFor();
    expect(await table.locator('tbody tr').first().innerText()).toContain('app_rude');
    clock.advance(3_600_000);
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByText('No app was refused anything.').waitFor();
    await page.getByLabel('Hour').selectOption('The last hour');
    await row.waitFor();
    await node.end();
  });

  it.each(['Dead letters', 'Revocations', 'Usage plans', 'App usage'] as const)(
    'shows a scheduling agent that %s are not theirs, with the correlation id',
    async (name) => {
      await signIn('Scheduling agent of practice_p001');
      await open(name);
      const note = page.getByRole('alert');
      await note.waitFor();
      expect(await note.innerText()).toMatch(correlationId);
      expect(await page.locator('tbody').count()).toBe(0);
    },
  );

  it('asks nobody but its own server, and breaks no policy of its own', async () => {
    const complaints = complaintsOf(page);
    const asked = new Set<string>();
    page.on('request', (request) => asked.add(new URL(request.url()).origin));
    await signIn();
    for (const name of pages) await open(name);
    expect([...asked]).toEqual([gate.url]);
    expect(complaints).toEqual([]);
  });

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 360],
  ] as const)('is accessible in %s at %d pixels, and never wider than the window', async (colorScheme, width) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    const fits = () => page.evaluate<boolean>('document.documentElement.scrollWidth <= window.innerWidth');
    await page.goto(`${gate.url}/dashboard`);
    await page.getByText('Demo users').waitFor();
    expect(await violationsOn(page)).toEqual([]);
    expect(await fits()).toBe(true);
    await signIn();
    for (const name of pages) {
      await open(name);
      await page.locator('.card[aria-busy=false], .tiles').first().waitFor();
      expect(await violationsOn(page)).toEqual([]);
      expect(await fits()).toBe(true);
    }
  });
});
