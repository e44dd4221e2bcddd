import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandFailed, messageOf, run } from './processes';

/** Libraries of the C runtime belong to the running system; another copy of them would not fit its loader. */
const systemLibraries = /^lib(c6|c-bin|crypt1|gcc-s1|stdc\+\+6)$/;

const systemLists = '/var/lib/apt/lists';

/**
 * Fetches packages of the distribution (Debian, Ubuntu) and the libraries they need with apt-get, and unpacks them without
 * installing them: it needs no root and changes nothing outside of `work`, which is emptied first.
 * @param onFetch called once it is known that there is an apt
 * @returns the folder that they are unpacked in, inside `work`
 * @throws CommandFailed; its `notFound` says that there is no apt or no dpkg
 */
export async function unpackPackages(
  work: string,
  names: string[],
  log: (line: string) => void,
  onFetch: () => void,
): Promise<string> {
  await rm(work, { recursive: true, force: true });
  await mkdir(join(work, 'lists', 'partial'), { recursive: true });
  await mkdir(join(work, 'cache', 'archives', 'partial'), { recursive: true });
  const apt = new Apt(work);
  await apt.probe();
  onFetch();
  await apt.takeSystemLists(log);
  await apt.update(log);
  const packages = await apt.missingPackages(names);
  const unpacked = join(work, 'root');
  await mkdir(unpacked);
  await apt.download(packages);
  for (const file of (await readdir(work)).filter((name) => name.endsWith('.deb'))) {
    await run('dpkg', ['-x', join(work, file), unpacked]);
  }
  await writeFile(join(unpacked, 'packages.txt'), `${packages.join('\n')}\n`);
  return unpacked;
}

/** apt with lists and a cache of its own, so that an ordinary user may use it and the system's stay as they are. */
class Apt {
  private readonly options: string[];

  constructor(private readonly folder: string) {
    this.options = [
      `Dir::State::Lists=${join(folder, 'lists')}`,
      `Dir::Cache=${join(folder, 'cache')}`,
      // Container images turn them off, and each command would read all lists anew.
      'Dir::Cache::pkgcache=pkgcache.bin',
      'Dir::Cache::srcpkgcache=srcpkgcache.bin',
      // The system's list of installed packages; read only.
      'Dir::State::status=/var/lib/dpkg/status',
      // Root's sandbox user could not write into this folder; the signatures are checked all the same.
      ...(process.getuid?.() === 0 ? ['APT::Sandbox::User=root'] : []),
      'Acquire::Languages=none',
      'Acquire::Retries=2',
      'Acquire::http::Timeout=10',
      'Acquire::https::Timeout=10',
    ].flatMap((option) => ['-o', option]);
  }

  /** Throws CommandFailed (notFound) where there is no apt or no dpkg. */
  async probe(): Promise<void> {
    await run('apt-get', ['--version']);
    await run('dpkg', ['--version']);
  }

  /** What the system has of the lists, so that only what has changed since is fetched; without it, all is. */
  async takeSystemLists(log: (line: string) => void): Promise<void> {
    const lists = join(this.folder, 'lists');
    try {
      const names = existsSync(systemLists) ? await readdir(systemLists) : [];
      for (const name of names.filter((one) => /(?:Packages|Release)[^/]*$/.test(one))) {
        await cp(join(systemLists, name), join(lists, name), { preserveTimestamps: true });
      }
    } catch (error) {
      log(`The system's package lists are of no use here: ${messageOf(error)}`);
      await rm(lists, { recursive: true, force: true });
      await mkdir(join(lists, 'partial'), { recursive: true });
    }
  }

  /** One source of many may be away and the packages still be had, so a failure is told, and the download decides. */
  async update(log: (line: string) => void): Promise<void> {
    try {
      await run('apt-get', [...this.options, '--quiet', 'update'], { cwd: this.folder });
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      log(error.message);
    }
  }

  /** The packages and the libraries they need, without those libraries that are installed. */
  async missingPackages(names: string[]): Promise<string[]> {
    const direct = (await this.dependencies(names)).filter(isLibrary);
    const all = direct.length === 0 ? [] : await this.dependencies(direct, '--recurse');
    const libraries = [...new Set([...direct, ...all.filter(isLibrary)])];
    const installed = await installedPackages();
    return [...names, ...libraries.filter((name) => !installed.has(name))];
  }

  async download(packages: string[]): Promise<void> {
    await run('apt-get', [...this.options, '--quiet', 'download', ...packages], { cwd: this.folder });
  }

  /** Only what stands first: of alternatives, the distribution's own choice. */
  private async dependencies(names: string[], ...flags: string[]): Promise<string[]> {
    const kinds = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
      (kind) => `--no-${kind}`,
    );
    // env: apt translates the words that are looked for.
    const printed = await run('env', [
      'LC_ALL=C',
      'apt-cache',
      ...this.options,
      'depends',
      ...kinds,
      ...flags,
      ...names,
    ]);
    return [...printed.matchAll(/^\s+(?:Pre)?Depends: ([a-z0-9][a-z0-9.+-]*)/gm)].flatMap(([, name]) => name ?? []);
  }
}

function isLibrary(name: string): boolean {
  return name.startsWith('lib') && !systemLibraries.test(name);
}

async function installedPackages(): Promise<Set<string>> {
  const printed = await run('dpkg-query', ['-W', '-f', '${db:Status-Abbrev} ${Package}\n']);
  return new Set([...printed.matchAll(/^ii\s+(\S+)$/gm)].flatMap(([, name]) => name ?? []));
}
