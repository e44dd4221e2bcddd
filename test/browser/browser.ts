import { existsSync, readFileSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';

const executablePath = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium';

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts a headless Chromium with a profile of its own. @throws Error that names the package, where there is none */
export async function openBrowser(): Promise<Browser> {
  if (!existsSync(executablePath)) {
    throw new Error(
      `These tests need a real browser, and ${executablePath} does not exist: ` +
        'install the package "chromium" (apt-get install chromium), or set CHROMIUM_BIN to a Chromium or Chrome',
    );
  }
  return chromium.launch({ executablePath, args: flags, headless: true });
}

/** Well above what any step takes, and below a test's own limit, so that the step that hangs is the one named. */
const stepTimeoutMs = 40_000;

/** A page in a profile of its own. */
export async function openPage(browser: Browser): Promise<Page> {
  const context = await browser.newContext();
  context.setDefaultTimeout(stepTimeoutMs);
  return context.newPage();
}

const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

interface AxeResult {
  readonly violations: readonly { id: string; impact: string; help: string; nodes: readonly { html: string }[] }[];
}

/** What axe-core finds against WCAG 2.2 A and AA and its own best practices, worded for a test's failure. */
export async function violationsOn(page: Page): Promise<string[]> {
  // Through the debugger, so that the page's content security policy stays as it is.
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate<AxeResult>('axe.run(document)');
  return violations.map(
    ({ id, impact, help, nodes }) => `${impact} ${id}: ${help}: ${nodes.map(({ html }) => html).join(' ')}`,
  );
}

/** Everything that the page complained of: errors on its console (policy violations among them) and uncaught ones. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  return complaints;
}
