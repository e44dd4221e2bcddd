// @ts-check
/** Finds `pgbench` and runs a script with it. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
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
 * @param {{ script: string, url: URL, clients: number, seconds: number, variables?: Record<string, number> }} options
 * @returns {Promise<{ transactions: number, perSecond: number }>}
 */
export async function pgbench({ script, url, clients, seconds, variables = {} }) {
  const { command, env } = findPgbench();
  const defines = Object.entries(variables).flatMap(([name, value]) => ['-D', `${name}=${value}`]);
  // On the core of the server under test, whose place towards the database it takes.
  const [program, args] = pinned('server', command, [
    '--no-vacuum',
    '--protocol=prepared',
    `--client=${clients}`,
    '--jobs=1',
    `--time=${seconds}`,
    `--file=${script}`,
    ...defines,
    `--host=${url.hostname}`,
    `--port=${url.port}`,
    `--username=${url.username}`,
    url.pathname.slice(1),
  ]);
  const { stdout, stderr } = await execute(program, args, {
    env: { ...process.env, ...env, PGPASSWORD: decodeURIComponent(url.password) },
    maxBuffer: 64 * 1024 * 1024,
  }).catch((error) => {
    throw new Error(`pgbench failed: ${String(error.stderr ?? error).slice(-1000)}`);
  });
  const transactions = Number(/number of transactions actually processed: (\d+)/.exec(stdout)?.[1]);
  const failed = Number(/number of failed transactions: (\d+)/.exec(stdout)?.[1]);
  const perSecond = Number(/tps = ([\d.]+) \(without/.exec(stdout)?.[1]);
  if (!(perSecond > 0) || failed !== 0) throw new Error(`pgbench gave no figure: ${stdout} ${stderr}`.slice(-1000));
  return { transactions, perSecond };
}
