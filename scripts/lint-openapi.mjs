// Starts the built application, fetches its OpenAPI document and lints it (redocly.yaml). Needs `npm run build`.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = join(root, '.gatehouse/openapi');
const startDeadlineMs = 120_000;
const fetchDeadlineMs = 20_000;

/** @returns {Promise<object>} the document, with the application stopped again */
async function fetchDocument() {
  const { DATABASE_URL, DATABASE_SYSTEM_URL, DATABASE_ADMIN_URL, REDIS_URL, AUTH_ISSUER, ...environment } = process.env;
  const app = spawn(process.execPath, ['--enable-source-maps', 'dist/main.js'], {
    cwd: root,
    env: { ...environment, NODE_ENV: 'development', PORT: '0', DATA_DIR: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(app, 'exit');
  try {
    const url = await Promise.race([
      addressOf(app),
      ended.then(() => Promise.reject(new Error('It ended at its start'))),
    ]);
    const response = await fetch(`${url}/docs-json`, { signal: AbortSignal.timeout(fetchDeadlineMs) });
    if (!response.ok) throw new Error(`/docs-json answered ${response.status}`);
    return await response.json();
  } finally {
    app.kill('SIGTERM');
    await ended;
  }
}

/** What it says at its start, up to the line with its address. @param {import('node:child_process').ChildProcess} app */
function addressOf(app) {
  return new Promise((resolve, reject) => {
    let output = '';
    const late = setTimeout(() => reject(new Error(`The application did not start:\n${output}`)), startDeadlineMs);
    app.stderr?.setEncoding('utf8').on('data', (text) => {
      output += text;
      process.stderr.write(text);
      const address = /API\s+(http:\S+)/.exec(output)?.[1];
      if (!address || !/ready as/.test(output)) return;
      clearTimeout(late);
      resolve(address);
    });
    app.once('exit', () => clearTimeout(late));
  });
}

await mkdir(folder, { recursive: true });
const file = join(folder, 'openapi.json');
await writeFile(file, JSON.stringify(await fetchDocument(), null, 2));

// Its standard error holds notices about Node's and its own versions, which no switch turns off: shown where it failed only.
const args = ['--no-install', 'redocly', 'lint', file, '--config', join(root, 'redocly.yaml'), '--format', 'json'];
const { status, stdout, stderr } = spawnSync('npx', args, {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
  env: { ...process.env, REDOCLY_TELEMETRY: 'off' },
  shell: process.platform === 'win32',
});
/** @type {{ totals: { errors: number, warnings: number }, problems: { ruleId: string, severity: string, message: string, location: { pointer?: string }[] }[] } | undefined} */
let result;
try {
  result = JSON.parse(stdout);
} catch {
  process.stderr.write(`${stdout}\n${stderr}\n`);
}
if (!result) throw new Error(`The linter gave no result (exit code ${status})`);
for (const { severity, ruleId, message, location } of result.problems) {
  process.stdout.write(`${severity} ${ruleId} at ${location[0]?.pointer ?? ''}: ${message}\n`);
}
const { errors, warnings } = result.totals;
process.stdout.write(`OpenAPI: ${errors} errors, ${warnings} warnings\n`);
process.exitCode = errors + warnings > 0 ? 1 : 0;
