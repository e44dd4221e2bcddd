// @ts-check
/** Finds `pgbench` and runs a script with it. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { pinned, scratch } from './places.mjs';

const execute = promisify(execFile);
const cache = join(scratch, 'cache');

/** `$PGBENCH`, the machine's own, or the one of Debian's package, unpacked and not installed. @throws Error that says how to get one */
export function findPgbench() {
  const given = process.env.PGBENCH;
  if (given) return { command: given, env: {} };
  const found = inFolder('/') ?? inFolder(cache) ?? unpacked();
  if (found) return found;
  throw new Error(
    'no pgbench: set PGBENCH to one (Debian: package postgresql-15, other systems: the PostgreSQL server or contrib package)',
  );
}

/** @param {string} base */
function inFolder(base) {
  const versions = join(base, 'usr', 'lib', 'postgresql');
  if (!existsSync(versions)) return undefined;
  const newest = readdirSync(versions)
    .filter((version) => existsSync(join(versions, version, 'bin', 'pgbench')))
    .sort((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) return undefined;
  const libraries =
    base === '/'
      ? undefined
      : readdirSync(join(base, 'usr', 'lib'))
          .filter((name) => name.includes('linux-gnu'))
          .map((name) => join(base, 'usr', 'lib', name))
          .join(':');
  return { command: join(versions, newest, 'bin', 'pgbench'), env: libraries ? { LD_LIBRARY_PATH: libraries } : {} };
}

function unpacked() {
  try {
    mkdirSync(cache, { recursive: true });
    execFileSync('apt-get', ['download', 'postgresql-15', 'libpq5'], { cwd: cache, stdio: 'ignore' });
    for (const file of readdirSync(cache).filter((name) => name.endsWith('.deb')))
      execFileSync('dpkg', ['-x', file, '.'], { cwd: cache, stdio: 'ignore' });
    return inFolder(cache);
  } catch {
    return undefined;
  }
}

/**
 * @typedef {object} Run
 * @property {string} script
 * @property {URL} url
 * @property {number} clients
 * @property {number} seconds
 * @property {Record<string, number | string>} [variables]
 */

/** As many transactions as it can. @param {Run} run @returns {Promise<{ transactions: number, perSecond: number }>} */
export async function pgbench(run) {
  // On the core of the server under test, whose place towards the database it takes.
  const stdout = await start(run, [], 'server');
  const transactions = Number(/number of transactions actually processed: (\d+)/.exec(stdout)?.[1]);
  const perSecond = Number(/tps = ([\d.]+) \(without/.exec(stdout)?.[1]);
  if (!(perSecond > 0)) throw new Error(`pgbench gave no figure: ${stdout}`.slice(-1000));
  return { transactions, perSecond };
}

/**
 * At a fixed rate, on every core, as the application's connections plan: the p99 from the scheduled time, in ms, and how much of the rate it kept.
 * @param {Run & { ratePerSecond: number, warmupSeconds: number }} run
 */
export async function pgbenchP99({ ratePerSecond, warmupSeconds, ...run }) {
  const folder = mkdtempSync(join(tmpdir(), 'pgbench-'));
  try {
    const more = [`--rate=${ratePerSecond}`, '--log', `--log-prefix=${join(folder, 'log')}`];
    await start({ ...run, seconds: run.seconds + warmupSeconds }, more, 'every');
    const lines = readdirSync(folder).flatMap((file) => readFileSync(join(folder, file), 'utf8').trim().split('\n'));
    const done = lines.map((line) => {
      const [, , micros, , second, microsecond] = line.split(' ').map(Number);
      return { ms: micros / 1000, dueAt: second + (microsecond - micros) / 1e6 };
    });
    const from = Math.min(...done.map(({ dueAt }) => dueAt)) + warmupSeconds;
    const measured = done.filter(({ dueAt }) => dueAt >= from).map(({ ms }) => ms);
    if (measured.length === 0) throw new Error('pgbench made nothing at its rate');
    const p99 = measured.sort((a, b) => a - b)[Math.ceil(measured.length * 0.99) - 1];
    return { p99, kept: measured.length / (ratePerSecond * run.seconds) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {Run} run @param {string[]} more @param {import('./places.mjs').Place} place @returns {Promise<string>} */
async function start({ script, url, clients, seconds, variables = {} }, more, place) {
  const { command, env } = findPgbench();
  const defines = Object.entries(variables).flatMap(([name, value]) => ['-D', `${name}=${value}`]);
  const [program, args] = pinned(place, command, [
    '--no-vacuum',
    '--protocol=prepared',
    `--client=${clients}`,
    '--jobs=1',
    `--time=${seconds}`,
    `--file=${script}`,
    ...defines,
    ...more,
    `--host=${url.hostname}`,
    `--port=${url.port}`,
    `--username=${url.username}`,
    url.pathname.slice(1),
  ]);
  const options = place === 'every' ? { PGOPTIONS: '-c plan_cache_mode=force_generic_plan' } : {};
  const { stdout, stderr } = await execute(program, args, {
    env: { ...process.env, ...env, ...options, PGPASSWORD: decodeURIComponent(url.password) },
    maxBuffer: 64 * 1024 * 1024,
  }).catch((error) => {
    throw new Error(`pgbench failed: ${String(error.stderr ?? error).slice(-1000)}`);
  });
  const failed = Number(/number of failed transactions: (\d+)/.exec(stdout)?.[1]);
  if (failed !== 0) throw new Error(`transactions of pgbench failed: ${stdout} ${stderr}`.slice(-1000));
  return stdout;
}

/**
 * What `gatehouse.tenant` must hold for a tenant's rows.
 * @param {string} superuserUrl @param {string} tenant @returns {Promise<string>}
 */
export async function signedTenant(superuserUrl, tenant) {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    return (await client.query('SELECT signed_tenant($1) AS signed', [tenant])).rows[0].signed;
  } finally {
    await client.end();
  }
}
