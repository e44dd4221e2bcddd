// Does what a newcomer does: `npm run start:dev` on an empty data folder, `npm run tour` against it, a second start beside it,
// Ctrl-C and a start at once, kill -9; and makes sure that the tour saw all that it promises, that one of them ran at a time
// and that nothing is left running.
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
  REDIS_DEADLINE_MS: '5000', // a busy machine is no lost Redis
});
Object.assign(environment, {
  SMS_URL: `${outside}/sms`,
  CRM_URL: `${outside}/crm`,
  OUTSIDE_URL: outside,
  TOUR_URL: url,
});

/** Everything printed by the starts, in their order. */
const log = [];
/** Of the starts, those that may still run. @type {Set<Start>} */
const starts = new Set();

/** One `npm run start:dev`. */
class Start {
  said = '';

  /**
   * @param {{ ownGroup?: boolean, more?: Record<string, string> }} [options] `ownGroup`: as a terminal starts it, whose Ctrl-C goes
   * to all of the group; `more`: settings beside those of all
   */
  constructor({ ownGroup = false, more = {} } = {}) {
    this.process = spawn('npm', ['run', '--silent', 'start:dev'], {
      cwd: root,
      detached: ownGroup,
      env: { ...environment, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.said += text;
        log.push(text);
      });
    }
    starts.add(this);
    this.ended = once(this.process, 'close').finally(() => starts.delete(this));
  }

  get hasEnded() {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  async ready() {
    const answers = async () => this.hasEnded || (this.said.includes('gatehouse: ready as') && (await isReady(url)));
    await until(answers, readyDeadlineMs, () => 'it is not ready');
    if (this.hasEnded) throw new Error('It ended at its start');
  }

  async says(text) {
    await until(
      () => this.said.includes(text),
      stopDeadlineMs,
      () => `it did not say "${text}"`,
    );
  }
}

async function nothingIsLeft() {
  let left = [];
  await until(
    async () => (left = await remnants()).length === 0,
    stopDeadlineMs,
    () => `still running: ${left.join('; ')}`,
  );
}

/** The process that builds and runs, behind npm. */
const claimant = async () => Number.parseInt(await readFile(join(root, '.gatehouse/dev.pid'), 'utf8'), 10);

await emptyDataDir();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => starts.forEach(({ process: child }) => child.kill('SIGTERM')));
}

try {
  const first = new Start({ more: { SHUTDOWN_DRAIN_MS: '8000' } }); // long enough for another one to come meanwhile
  await first.ready();
  await tour(environment);

  const beside = new Start();
  const [code] = await beside.ended;
  if (code === 0 || !beside.said.includes('runs from this folder already')) throw new Error('Two ran from one folder');

  first.process.kill('SIGTERM');
  await first.says('SIGTERM: finishing what was accepted');
  const after = new Start();
  await after.ready();
  if (!after.said.includes('waits for process')) throw new Error('It started while another one was still ending');

  process.kill(await claimant(), 'SIGKILL');
  await nothingIsLeft();

  const last = new Start({ ownGroup: true });
  await last.ready();
  process.kill(-last.process.pid, 'SIGINT');
  await nothingIsLeft();
  await last.says(': finishing what was accepted');
  process.stdout.write('Started, toured, stopped, killed, started again, stopped, and nothing is left running\n');
} catch (error) {
  process.stdout.write(`${log.join('').slice(-10_000)}\n${error instanceof Error ? error.message : String(error)}\n`);
  for (const { process: child } of starts) child.kill('SIGTERM');
  await Promise.race([
    Promise.all([...starts].map(({ ended }) => ended)),
    pause(stopDeadlineMs, undefined, { ref: false }),
  ]);
  process.exitCode = 1;
}
