import { createHash, randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  copyFile,
  lchown,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandFailed, errorCode, run, serverIdentity, sizeOf, type Identity } from './processes';

/** Where the servers keep what, and as whom they run. */
export interface Ground {
  /** The folder of passwords, logs and the state; only the app and its watchdog read it. */
  home: string;
  /** The folder of the servers' own files; the home, unless the servers' user cannot reach that. */
  dir: string;
  /** Stands in the command line of every process of this folder's servers. */
  marker: string;
  identity?: Identity;
}

const maxLogBytes = 8 * 1024 * 1024;

/** Makes the folders of the servers. Root's `nobody` may not be able to reach the home: then they lie in /var/tmp. */
export async function prepareGround(home: string, log: (line: string) => void): Promise<Ground> {
  const identity = await serverIdentity();
  const marker = `gatehouse_${createHash('sha256').update(home).digest('hex').slice(0, 12)}`;
  const ground = { home, dir: home, marker, identity };
  if (!identity) return ground;
  // Others may pass through the home, but not list it; its files are 0600.
  await chmod(home, 0o711);
  if (await canReach(home, identity)) return ground;
  const dir = join(process.platform === 'win32' ? tmpdir() : '/var/tmp', marker);
  await ownFolder(dir);
  log(`The user "nobody" cannot reach ${home}, so the embedded servers keep their files in ${dir}`);
  return { ...ground, dir };
}

/** Whether the servers' user can enter this folder. */
async function canReach(folder: string, identity: Identity | undefined): Promise<boolean> {
  if (!identity) return true;
  try {
    await run('/bin/sh', ['-c', 'cd "$0"', folder], { identity, cwd: '/' });
    return true;
  } catch (error) {
    if (error instanceof CommandFailed) return false;
    throw error;
  }
}

/** Makes a folder that belongs to the servers' user alone. */
export async function serverFolder(folder: string, ground: Ground): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (ground.identity) await chown(folder, ground.identity.uid, ground.identity.gid);
}

/** Makes the servers' user the owner of a folder and all in it. */
export async function giveToServer(folder: string, { identity }: Ground): Promise<void> {
  if (!identity) return;
  const names = await readdir(folder, { recursive: true });
  for (const name of ['.', ...names]) await lchown(join(folder, name), identity.uid, identity.gid);
}

/** Writes a file that only the servers' user can read; whole or not at all. */
export async function serverFile(file: string, text: string, ground: Ground): Promise<void> {
  await writePrivately(`${file}.new`, text);
  if (ground.identity) await chown(`${file}.new`, ground.identity.uid, ground.identity.gid);
  await rename(`${file}.new`, file);
}

/** Writes a file that only this user can read; whole or not at all. */
export async function privateFile(file: string, text: string): Promise<void> {
  await writePrivately(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

/** The password kept in a file of mode 600; `made` tells that it is new. */
export async function keptPassword(file: string): Promise<{ password: string; made: boolean }> {
  const kept = await readIfThere(file);
  if (kept) return { password: kept.trim(), made: false };
  const password = randomBytes(24).toString('hex');
  await privateFile(file, `${password}\n`);
  return { password, made: true };
}

export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export function logFileOf(home: string, name: string): string {
  return join(home, 'logs', `${name}.log`);
}

/**
 * Keeps a log at 8 MiB and one predecessor. It is cut in place, not renamed: the server holds it open (O_APPEND), and
 * a server whose watchdog was killed must be able to go on writing.
 */
export async function trimLog(file: string): Promise<void> {
  if ((await sizeOf(file)) <= maxLogBytes) return;
  await copyFile(file, `${file}.1`);
  await truncate(file, 0);
}

async function writePrivately(file: string, text: string): Promise<void> {
  await rm(file, { force: true });
  await writeFile(file, text, { mode: 0o600, flag: 'wx' });
}

/** A name in a folder that everyone may write is trusted only when it is a folder and ours. */
async function ownFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o711 });
  const found = await lstat(dir);
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new Error(`${dir} belongs to somebody else. Remove it, or choose a data folder that "nobody" can reach.`);
  }
  await chmod(dir, 0o711);
}
