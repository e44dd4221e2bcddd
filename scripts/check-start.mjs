// Does what a newcomer does: `npm run start:dev` on an empty data folder, `npm run tour` against it, Ctrl-C; and makes sure
// that the tour saw all that it promises and that nothing is left running.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dataDir = join(root, '.gatehouse/start');
const readyDeadlineMs = 150_000;
const stopDeadlineMs = 45_000;
const promised = /^[1-9]\d* promises, all kept\.$/m;
/** What `.ci/run` takes for "could not be checked here". */
const notChecked = 77;

/** @returns {Promise<number>} a port that nobody has now */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/** Everything but what was downloaded goes, so that the start is a first one. */
async function emptyDataDir() {
  await mkdir(dataDir, { recursive: true });
  for (const name of await readdir(dataDir)) {
    if (name !== 'cache') await rm(join(dataDir, name), { recursive: true, force: true });
  }
}

/** Processes, other than this one, that were started with the data folder in their command or environment. */
async function remnants() {
  const found = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid))) {
    const read = (file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => ''); // ended meanwhile, or not ours to read
    const command = await read('cmdline');
    if (command.includes(dataDir) || (await read('environ')).includes(`DATA_DIR=${dataDir}`))
      found.push(`${pid} ${command.replaceAll('\0', ' ')}`);
  }
  return found;
}

/** Repeats a question until it is answered with true. */
async function until(question, deadlineMs, what) {
  const end = Date.now() + deadlineMs;
  while (!(await question())) {
    if (Date.now() > end) throw new Error(`After ${deadlineMs / 1000} s: ${what()}`);
    await pause(200);
  }
}

async function isReady(url) {
  const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  return answer?.ok === true;
}

async function tour(environment) {
  const child = spawn('npm', ['run', '--silent', 'tour'], {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    process.stdout.write(text);
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`The tour ended with ${code}`);
  if (!promised.test(output)) throw new Error('The tour did not say that it saw what it promised');
}

if (!existsSync('/proc/self/environ')) {
  process.stdout.write('Without /proc nobody can tell what is left running\n');
  process.exit(notChecked);
}

const [port, outsidePort] = [await freePort(), await freePort()];
const outside = `http://127.0.0.1:${outsidePort}`;
const url = `http://127.0.0.1:${port}`;
const { DATABASE_URL, DATABASE_SYSTEM_URL, DATABASE_ADMIN_URL, REDIS_URL, AUTH_ISSUER, NODE_ENV, ...environment } =
  process.env;
Object.assign(environment, {
  PORT: String(port),
  HOST: '127.0.0.1',
  DATA_DIR: dataDir,
  OUTSIDE_PORT: String(outsidePort),
});
Object.assign(environment, {
  SMS_URL: `${outside}/sms`,
  CRM_URL: `${outside}/crm`,
  OUTSIDE_URL: outside,
  TOUR_URL: url,
});

await emptyDataDir();
const log = [];
const server = spawn('npm', ['run', '--silent', 'start:dev'], {
  cwd: root,
  env: environment,
  stdio: ['ignore', 'pipe', 'pipe'],
});
const ended = once(server, 'exit');
for (const stream of [server.stdout, server.stderr]) stream.setEncoding('utf8').on('data', (text) => log.push(text));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.kill('SIGTERM'));

try {
  const hasEnded = () => server.exitCode !== null || server.signalCode !== null;
  await until(
    async () => hasEnded() || (await isReady(url)),
    readyDeadlineMs,
    () => 'it is not ready',
  );
  if (hasEnded()) throw new Error('It ended at its start');
  await tour(environment);
  server.kill('SIGTERM');
  let left = [];
  await until(
    async () => (left = await remnants()).length === 0,
    stopDeadlineMs,
    () => `still running: ${left.join('; ')}`,
  );
  if (!log.join('').includes('SIGTERM: finishing what was accepted')) throw new Error('It did not stop in order');
  process.stdout.write('Started, toured, stopped, and nothing is left running\n');
} catch (error) {
  process.stdout.write(`${log.join('').slice(-10_000)}\n${error instanceof Error ? error.message : String(error)}\n`);
  server.kill('SIGTERM');
  await Promise.race([ended, pause(stopDeadlineMs, undefined, { ref: false })]);
  process.exitCode = 1;
}
