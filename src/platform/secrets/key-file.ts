import { randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type FieldKey, fieldKeys } from '../config';

const fileName = 'phi.keys';
const keyBytes = 32;

/** The keys of a development folder, made once; of two processes that start at once both get the same. */
export async function keysOfFolder(folder: string): Promise<readonly FieldKey[]> {
  const file = join(folder, fileName);
  const text = (await readIfThere(file)) ?? (await create(folder, file));
  try {
    return fieldKeys(text.trim());
  } catch (error) {
    throw new Error(`The key file ${fileName} in DATA_DIR ${(error as Error).message}`, { cause: error });
  }
}

/** Writes a new key; of two processes both use the one whose file was there first, whole. */
async function create(folder: string, file: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, `dev:${randomBytes(keyBytes).toString('base64')}\n`, { mode: 0o600, flag: 'wx' });
  try {
    await link(draft, file);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    await rm(draft);
  }
  return readFile(file, 'utf8');
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}
