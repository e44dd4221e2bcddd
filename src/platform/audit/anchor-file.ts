import { createReadStream } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Config } from '../config';
import { hashBytes } from './chain';

/** A head of a chain as it was at some time, written down where the database's administrators cannot write. */
export interface Anchor {
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly practice: string;
  readonly seq: number;
  /** Hexadecimal. */
  readonly hash: string;
}

export interface ReadAnchors {
  /** By chain. */
  readonly anchors: ReadonlyMap<string, readonly Anchor[]>;
  /** Numbers of the lines that are no anchors, such as one that a crash cut off. */
  readonly unreadable: readonly number[];
}

export function anchorFileOf(config: Config): string {
  return resolve(config.get('AUDIT_ANCHOR_FILE') ?? `${config.get('DATA_DIR')}/audit-anchors.ndjson`);
}

/** Appends the anchors, one a line; resolves once they are on the disk. */
export async function appendAnchors(file: string, anchors: readonly Anchor[]): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const handle = await open(file, 'a+', 0o600);
  try {
    const lines = anchors.map((anchor) => `${JSON.stringify(anchor)}\n`).join('');
    await handle.appendFile((await endsTorn(handle)) ? `\n${lines}` : lines);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whether a crash left half a line behind, which the next must not be glued to. */
async function endsTorn(handle: Awaited<ReturnType<typeof open>>): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return false;
  const { buffer } = await handle.read({ buffer: Buffer.alloc(1), position: size - 1 });
  return buffer.toString() !== '\n';
}

/** Reads all anchors; `undefined` where there is no file. */
export async function readAnchors(file: string): Promise<ReadAnchors | undefined> {
  const anchors = new Map<string, Anchor[]>();
  const unreadable: number[] = [];
  let line = 0;
  try {
    for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
      line += 1;
      const anchor = anchorOf(text);
      if (!anchor) {
        unreadable.push(line);
        continue;
      }
      const known = anchors.get(anchor.practice);
      if (known) known.push(anchor);
      else anchors.set(anchor.practice, [anchor]);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return { anchors, unreadable };
}

function anchorOf(text: string): Anchor | undefined {
  try {
    const { at, practice, seq, hash } = JSON.parse(text) as Partial<Record<keyof Anchor, unknown>>;
    const isWhole =
      typeof at === 'string' &&
      typeof practice === 'string' &&
      typeof seq === 'number' &&
      Number.isSafeInteger(seq) &&
      typeof hash === 'string' &&
      Buffer.from(hash, 'hex').length === hashBytes;
    return isWhole ? { at, practice, seq, hash } : undefined;
  } catch {
    return undefined; // counted by the caller
  }
}
