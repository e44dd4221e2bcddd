import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { builtDir, runDir } from './places';

/** What is broken on purpose in a copy of the build. */
export interface Breach {
  readonly files: RegExp;
  readonly text: RegExp;
  readonly by: string;
  /** How many places it breaks at least: a build that it does not fit any more fails the test. */
  readonly places: number;
}

/** Copies of the build, each with breaches of its own, in a folder of one test. */
export class BrokenBuilds {
  private readonly folder: string;

  constructor(name: string) {
    this.folder = join(runDir, name);
  }

  /** @returns the folder of a build with these breaches; @throws Error where one of them does not fit */
  async make(breaches: Readonly<Record<string, Breach>>): Promise<string> {
    const dist = join(this.folder, Object.keys(breaches).join('-') || 'whole');
    await mkdir(this.folder, { recursive: true });
    await cp(builtDir, dist, { recursive: true, filter: (path) => !path.endsWith('.map') });
    const all = (await readdir(dist, { recursive: true })).map((path) => path.replaceAll('\\', '/'));
    for (const [name, { files, text, by, places }] of Object.entries(breaches)) {
      let broken = 0;
      for (const path of all.filter((candidate) => files.test(candidate))) {
        const before = await readFile(join(dist, path), 'utf8');
        const after = before.replace(text, () => {
          broken += 1;
          return by;
        });
        await writeFile(join(dist, path), after);
      }
      if (broken < places) throw new Error(`The breach "${name}" fits ${broken} places of the build, not ${places}`);
    }
    return dist;
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
