import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Client } from 'pg';
import { unpackPackages } from '../../src/platform/embedded/apt-packages';
import { CommandFailed, run, serverIdentity } from '../../src/platform/embedded/processes';
import { testDir } from './places';
import { until } from './until';

const home = join(testDir, 'cache', 'pgbouncer');

interface Binary {
  readonly command: string;
  readonly environment: Record<string, string>;
  /** Such as `1.18.0`. */
  readonly version: string;
}

/** The distribution's own, unpacked into the cache of the tests; or why it cannot be had here. */
async function binary(): Promise<Binary | string> {
  if (!existsSync(home)) {
    const work = join(testDir, 'cache', `pgbouncer-apt-${process.pid}`);
    try {
      const log = (line: string) => process.stderr.write(`${line}\n`);
      const unpacked = await unpackPackages(work, ['pgbouncer'], log, () => log('Fetching the package pgbouncer'));
      await chmod(unpacked, 0o755);
      await rename(unpacked, home);
    } catch (error) {
      if (error instanceof CommandFailed) return error.message;
      throw error;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  const libraries = join(home, 'usr', 'lib');
  const triplets = (await readdir(libraries)).filter((name) => name.includes('linux'));
  const command = join(home, 'usr', 'sbin', 'pgbouncer');
  const environment = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    LD_LIBRARY_PATH: [libraries, ...triplets.map((name) => join(libraries, name))].join(':'),
  };
  try {
    const printed = await run(command, ['--version'], { env: environment });
    return { command, environment, version: /PgBouncer ([\d.]+)/.exec(printed)?.[1] ?? '0' };
  } catch (error) {
    if (error instanceof CommandFailed) return error.message;
    throw error;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A PgBouncer in transaction mode before one login of a Postgres. */
export class PgBouncer {
  private constructor(
    /** The same database through it. */
    readonly url: string,
    /** Whether it keeps track of prepared statements (1.21 and later). */
    readonly tracksStatements: boolean,
    private readonly child: ChildProcess,
    private readonly folder: string,
  ) {}

  /** Starts one with so few server connections that clients must share them; a text says why there is none. */
  static async start(databaseUrl: string, serverConnections: number): Promise<PgBouncer | string> {
    const found = await binary();
    if (typeof found === 'string') return found;
    const [major = 0, minor = 0] = found.version.split('.').map(Number);
    const tracksStatements = major > 1 || minor >= 21;
    const { hostname, port, username, password } = new URL(databaseUrl);
    const folder = await mkdtemp(join(testDir, 'cache', 'bouncer-'));
    const [usersFile, settingsFile] = [join(folder, 'users.txt'), join(folder, 'pgbouncer.ini')];
    const listenPort = await freePort();
    await writeFile(usersFile, `"${username}" "${password}"\n`, { mode: 0o600 });
    const settings = [
      '[databases]',
      `* = host=${hostname} port=${port}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${listenPort}`,
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${usersFile}`,
      'pool_mode = transaction',
      'max_client_conn = 500',
      `default_pool_size = ${serverConnections}`,
      'ignore_startup_parameters = extra_float_digits',
      ...(tracksStatements ? ['max_prepared_statements = 200'] : []),
    ];
    await writeFile(settingsFile, `${settings.join('\n')}\n`, { mode: 0o600 });
    const identity = await serverIdentity();
    if (identity) for (const path of [folder, usersFile, settingsFile]) await chown(path, identity.uid, identity.gid);
    const child = spawn(found.command, [settingsFile], {
      env: found.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...identity,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    const url = new URL(databaseUrl);
    url.port = String(listenPort);
    let refusal: unknown;
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(`PgBouncer ended at its start:\n${output}`);
        const client = new Client({ connectionString: url.href });
        return client
          .connect()
          .then(() => client.end())
          .then(() => true)
          .catch((error: unknown) => {
            refusal = error;
            return false;
          });
      },
      10_000,
      () => `PgBouncer lets nobody in: ${String(refusal)}\n${output}`,
    );
    return new PgBouncer(url.href, tracksStatements, child, folder);
  }

  async end(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
    await rm(this.folder, { recursive: true, force: true });
  }
}
