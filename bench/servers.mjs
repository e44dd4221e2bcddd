// @ts-check
/** Starts what is measured and what stands under it, each in a process of its own, and stops it by its own id. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, closeSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL, fileURLToPath } from 'node:url';
import { pinned, ranked, rankGroup, root, scratch } from './places.mjs';

/**
 * @typedef {object} Server
 * @property {string} name
 * @property {string} host
 * @property {number} port
 * @property {string} url
 * @property {number} readyAfterMs
 * @property {() => number} rssBytes
 * @property {() => Promise<void>} stop
 */

/** As Gatehouse names its database on embedded servers (src/ground.ts). */
const DATABASE = 'gatehouse';

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.once(signal, async () => {
    await stopAll();
    process.exit(1);
  });
}

/** A port that nobody listens on at this moment. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Starts a server that listens on `PORT` and waits until `readyPath` answers 200.
 * @param {object} options
 * @param {string} options.name
 * @param {string[]} options.args Of this Node.
 * @param {string} [options.command]
 * @param {Record<string, string | undefined>} [options.env]
 * @param {string} [options.cwd]
 * @param {import('./places.mjs').Place} [options.place]
 * @param {string} [options.readyPath]
 * @param {Record<string, string>} [options.readyHeaders]
 * @param {number} [options.readyWithinSeconds]
 * @param {boolean} [options.everyCore] Pin it nowhere.
 * @param {boolean} [options.ownGroup] Stop its children, too (a server started through `npm run`).
 * @returns {Promise<Server>}
 */
export async function startServer({
  name,
  args,
  command = process.execPath,
  env = {},
  cwd = root,
  place = 'server',
  readyPath = '/',
  readyHeaders = {},
  readyWithinSeconds = 60,
  ownGroup = false,
  everyCore = false,
}) {
  const host = '127.0.0.1';
  const port = await freePort();
  mkdirSync(join(scratch, 'logs'), { recursive: true });
  const logFile = join(scratch, 'logs', `${name}.log`);
  const log = openSync(logFile, 'w');
  const started = performance.now();
  const child = spawn(...pinned(everyCore ? 'every' : place, command, args), {
    cwd,
    env: { ...process.env, ...env, PORT: String(port), HOST: host },
    // The access log is written, as part of the work, to where it costs no disk.
    stdio: ['ignore', process.env.BENCH_LOGS ? log : 'ignore', log],
    detached: ownGroup,
  });
  closeSync(log);
  const url = `http://${host}:${port}`;
  running.add(child);
  child.once('exit', () => running.delete(child));

  while (!(await answers(`${url}${readyPath}`, readyHeaders))) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${name} ended before it was ready (${child.signalCode ?? child.exitCode}); ${tail(logFile)}`);
    }
    if (performance.now() - started > readyWithinSeconds * 1000) {
      await stopChild(child, ownGroup);
      throw new Error(`${name} did not answer 200 on ${readyPath} within ${readyWithinSeconds} s; ${tail(logFile)}`);
    }
    await sleep(20);
  }
  return {
    name,
    host,
    port,
    url,
    readyAfterMs: performance.now() - started,
    rssBytes: () => rssBytes(child),
    stop: () => stopChild(child, ownGroup),
  };
}

/** @param {string} file */
function tail(file) {
  const text = readFileSync(file, 'utf8').trim();
  return text === ''
    ? 'its log is empty (BENCH_LOGS=1 keeps stdout in the log as well)'
    : `its log ends:\n${text.split('\n').slice(-8).join('\n')}`;
}

/** @param {string} url @param {Record<string, string>} headers */
async function answers(url, headers) {
  try {
    const response = await fetch(url, {
      headers: { ...headers, connection: 'close' },
      signal: AbortSignal.timeout(2000),
    });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** @param {import('node:child_process').ChildProcess} child */
function rssBytes(child) {
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
  if (kilobytes === undefined) throw new Error('no VmRSS: resident memory is read from /proc, on Linux');
  return Number(kilobytes) * 1024;
}

/** @param {import('node:child_process').ChildProcess} child @param {boolean} ownGroup */
async function stopChild(child, ownGroup) {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const target = ownGroup ? -child.pid : child.pid;
  const exited = once(child, 'exit');
  process.kill(target, 'SIGTERM');
  if (await Promise.race([exited.then(() => true), sleep(10_000, false, { ref: false })])) return;
  process.kill(target, 'SIGKILL');
  await exited;
}

/** Everything this process started and that still runs. */
export async function stopAll() {
  await Promise.all([...running].map((child) => stopChild(child, false)));
}

/**
 * Runs a script of this folder to its end: JSON in, JSON out.
 * @param {string} script @param {unknown} input @param {{ place?: import('./places.mjs').Place, rank?: import('./places.mjs').Rank }} [options]
 * @returns {Promise<any>}
 */
export async function runScript(script, input, { place = 'load', rank } = {}) {
  const [command, args] = pinned(place, process.execPath, [fileURLToPath(new URL(script, import.meta.url))]);
  const child = spawn(...ranked(rank, command, args), { detached: rank !== undefined });
  running.add(child);
  rankGroup(rank, child.pid);
  let out = '',
    err = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (err += text));
  child.stdin.on('error', () => {}); // it ended early: its exit code says so below
  child.stdin.end(JSON.stringify(input));
  const [code] = await once(child, 'close');
  running.delete(child);
  if (code !== 0)
    throw new Error(`${script} failed (${code}): ${/^\w*Error\b.*/m.exec(err)?.[0] ?? err.trim().slice(-2000)}`);
  return JSON.parse(out);
}

/**
 * @typedef {object} Ground
 * @property {string} redisUrl
 * @property {string} postgresUrl Of Gatehouse's database, as the superuser; `''` when only Redis was asked for.
 * @property {string} dataDir
 * @property {() => Promise<void>} stop
 */

/**
 * Redis and Postgres for one bench: the embedded ones, in a process and on cores of their own, which a Gatehouse with the same `DATA_DIR` then shares;
 * or those of `REDIS_URL` and `BENCH_DATABASE_URL` (a superuser; `DATABASE_URL` and its like tell Gatehouse itself) where they are set.
 * @param {{ redis?: boolean, postgres?: boolean, everyCore?: boolean }} wanted `everyCore`: pin them nowhere
 * @returns {Promise<Ground>}
 */
export async function startGround({ redis = true, postgres = false, everyCore = false } = {}) {
  const dataDir = join(scratch, 'data');
  const given = { redisUrl: process.env.REDIS_URL ?? '', postgresUrl: process.env.BENCH_DATABASE_URL ?? '' };
  if ((!redis || given.redisUrl) && (!postgres || given.postgresUrl))
    return { ...given, dataDir, stop: async () => {} };

  const module = join(root, 'dist', 'platform', 'embedded', 'index.js');
  if (!existsSync(module))
    throw new Error(
      'no dist/platform/embedded: run `npm run build` in the root first, or set REDIS_URL and BENCH_DATABASE_URL',
    );
  mkdirSync(dataDir, { recursive: true });
  const child = spawn(
    ...pinned(everyCore ? 'every' : 'ground', process.execPath, [
      fileURLToPath(new URL('ground.mjs', import.meta.url)),
      pathToFileURL(module).href,
      dataDir,
      DATABASE,
    ]),
    {
      cwd: root,
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  running.add(child);
  child.once('exit', () => running.delete(child));
  const first = await Promise.race([
    once(child.stdout.setEncoding('utf8'), 'data'),
    once(child, 'exit').then(() => undefined),
  ]);
  if (first === undefined) throw new Error('the embedded servers did not start; what they said stands above');
  return { ...JSON.parse(first[0]), dataDir, stop: () => stopChild(child, false) };
}
