import { chmod, readdir, rename, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { unpackPackages } from './apt-packages';
import type { RedisBinary } from './redis';

/**
 * The distribution's own redis-server (Debian, Ubuntu), fetched with apt-get and unpacked, not installed: it needs no
 * root and changes nothing outside the cache. Undefined when what came does not pass `isUsable`. Throws CommandFailed.
 */
export async function fetchRedis(
  cache: string,
  flavour: 'redis' | 'valkey',
  isUsable: (candidate: RedisBinary) => Promise<boolean>,
  log: (line: string) => void,
): Promise<RedisBinary | undefined> {
  const root = join(cache, flavour);
  const candidate = await binaryIn(root, flavour);
  if (existsSync(candidate.command) && (await isUsable(candidate))) return candidate;

  const work = join(cache, 'apt');
  const unpacked = await unpackPackages(work, [`${flavour}-server`, `${flavour}-tools`], log, () => {
    log(`No redis-server on the PATH: fetching the distribution's package ${flavour}-server into ${cache}`);
  });
  // For a root whose umask shuts others out.
  for (const folder of [dirname(cache), cache, unpacked]) await chmod(folder, 0o755);
  await rm(root, { recursive: true, force: true });
  await rename(unpacked, root);
  await rm(work, { recursive: true, force: true });
  const fetched = await binaryIn(root, flavour);
  return (await isUsable(fetched)) ? fetched : undefined;
}

async function binaryIn(root: string, flavour: string): Promise<RedisBinary> {
  const folders = [join(root, 'usr', 'lib'), join(root, 'lib')].filter((folder) => existsSync(folder));
  const triplets = await Promise.all(
    folders.map(async (folder) =>
      (await readdir(folder)).filter((name) => name.includes('linux')).map((name) => join(folder, name)),
    ),
  );
  return {
    command: join(root, 'usr', 'bin', `${flavour}-server`),
    libraryPath: [...triplets.flat(), ...folders].join(':') || root,
    description: "the distribution's package",
  };
}
