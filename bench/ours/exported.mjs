// @ts-check
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../places.mjs';

/**
 * A built file of Gatehouse, or an error that names it.
 * @param {string} file From the root.
 * @param {string} name What the file must export.
 * @returns {Promise<any>}
 */
export async function exported(file, name) {
  const path = join(root, file);
  if (!existsSync(path))
    throw new Error(`no ${file}: run \`npm run build\` in the root first, or correct the path in bench/ours/`);
  const module = await import(pathToFileURL(path).href);
  const value = module[name] ?? module.default?.[name];
  if (value === undefined) throw new Error(`${file} exports no ${name}: correct the name in bench/ours/`);
  return value;
}
