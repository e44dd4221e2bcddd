// Bundles dashboard/ into static files: hashed names that may be cached for ever, and the one page that names them.
import { build } from 'esbuild';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'dashboard');
/** Where the application serves the folder. */
const base = '/dashboard';

/**
 * Builds the dashboard; what was in the folder goes.
 * @param {string} outDir for example `dist/dashboard`
 * @returns {Promise<number>} how many files it wrote
 */
export async function buildDashboard(outDir) {
  await rm(outDir, { recursive: true, force: true });
  await mkdir(outDir, { recursive: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { main: join(source, 'src/main.tsx'), icon: join(source, 'icon.svg') },
    outdir: outDir,
    entryNames: 'assets/[name]-[hash]',
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    loader: { '.svg': 'copy' },
    define: { 'process.env.NODE_ENV': '"production"' },
    legalComments: 'linked',
    metafile: true,
    logLevel: 'warning',
  });
  const written = Object.keys(metafile.outputs).map((path) => relative(outDir, join(root, path)).replaceAll('\\', '/'));
  const template = await readFile(join(source, 'index.html'), 'utf8');
  const page = template.replaceAll(/%([\w.]+)%/g, (_, name) => `${base}/${outputOf(name, written)}`);
  await writeFile(join(outDir, 'index.html'), page);
  return written.length + 1;
}

/** `main.js` → `assets/main-7QXYZ4AB.js` @param {string} name @param {string[]} written */
function outputOf(name, written) {
  const extension = extname(name);
  const start = `${basename(name, extension)}-`;
  const found = written.find((path) => basename(path).startsWith(start) && extname(path) === extension);
  if (!found) throw new Error(`The dashboard's page names ${name}, which was not built`);
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const began = performance.now();
  const count = await buildDashboard(join(root, 'dist/dashboard'));
  process.stdout.write(`built the dashboard, ${count} files, in ${Math.round(performance.now() - began)} ms\n`);
}
