// Compiles src and migrations into dist with swc; types are checked apart (`npm run types`).
import { transformFile } from '@swc/core';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildDashboard } from './build-dashboard.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** @param {string} from folder of TypeScript @param {string} to folder of JavaScript */
async function compile(from, to) {
  const entries = await readdir(from, { recursive: true });
  const sources = entries.filter((path) => path.endsWith('.ts') && !path.includes('.spec'));
  await Promise.all(
    sources.map(async (path) => {
      const target = join(to, path.replace(/\.ts$/, '.js'));
      const { code, map } = await transformFile(join(from, path), {
        root,
        sourceFileName: relative(dirname(target), join(from, path)),
      });
      await mkdir(dirname(target), { recursive: true });
      await writeFile(`${target}.map`, map ?? '');
      await writeFile(target, `${code}\n//# sourceMappingURL=${path.split('/').pop()?.replace(/\.ts$/, '.js')}.map\n`);
    }),
  );
  return sources.length;
}

/**
 * Builds everything.
 * @param {string} [outDir] where to; `dist` unless a test wants a copy of its own
 * @param {string} [sourceRoot] the folder that holds src and migrations; this checkout unless a test has changed a copy
 */
export async function build(outDir = join(root, 'dist'), sourceRoot = root) {
  await rm(outDir, { recursive: true, force: true });
  const [sources, migrations] = await Promise.all([
    compile(join(sourceRoot, 'src'), outDir),
    compile(join(sourceRoot, 'migrations'), join(outDir, 'migrations')),
    buildDashboard(join(outDir, 'dashboard')),
  ]);
  return sources + migrations;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [outDir, sourceRoot] = process.argv.slice(2);
  const count = await build(outDir, sourceRoot);
  process.stdout.write(`built ${count} files\n`);
}
