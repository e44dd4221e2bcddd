// @ts-check
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../places.mjs';

/**
 * What a built file of Gatehouse exports, or an error that names what is missing.
 * @param {string} file Below `dist`.
 * @param {string[]} names
 * @returns {Promise<any[]>} in the order of the names
 */
export async function exported(file, ...names) {
  const path = join(root, 'dist', file);
  if (!existsSync(path)) throw new Error(`no dist/${file}: run \`npm run build\` in the root, or correct bench/ours/`);
  const module = await import(pathToFileURL(path).href);
  return names.map((name) => {
    const value = module[name] ?? module.default?.[name];
    if (value === undefined) throw new Error(`dist/${file} exports no ${name}: correct bench/ours/`);
    return value;
  });
}
