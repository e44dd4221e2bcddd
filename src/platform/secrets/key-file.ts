import { randomBytes } from 'node:crypto';
import { type FieldKey, fieldKeys, keptFile } from '../config';

const fileName = 'phi.keys';
const keyBytes = 32;

/** The keys of a development folder, made once. */
export async function keysOfFolder(folder: string): Promise<readonly FieldKey[]> {
  const made = () => Promise.resolve(`dev:${randomBytes(keyBytes).toString('base64')}\n`);
  const text = await keptFile(folder, fileName, made);
  try {
    return fieldKeys(text.trim());
  } catch (error) {
    throw new Error(`The key file ${fileName} in DATA_DIR ${(error as Error).message}`, { cause: error });
  }
}
