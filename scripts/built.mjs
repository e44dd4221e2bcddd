// `node scripts/built.mjs <program> [argument …]`: runs a program of dist/, or says how to build it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [, , name = '', ...args] = process.argv;
const file = join(fileURLToPath(new URL('..', import.meta.url)), 'dist', `${name}.js`);
if (existsSync(file)) {
  process.argv = [process.execPath, file, ...args];
  process.setSourceMapsEnabled(true);
  await import(pathToFileURL(file).href);
} else {
  process.stderr.write(`gatehouse: dist/${name}.js is not built yet: npm run build\n`);
  process.exitCode = 1;
}
