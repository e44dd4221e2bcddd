import { link, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfThere } from './ground';
import { errorCode, processEntry } from './processes';

/** How to reach the watchdog of a data folder. */
export interface WatchdogRecord {
  pid: number;
  /** On 127.0.0.1. */
  port: number;
  /** What a caller must know; the record's file has mode 600. */
  token: string;
}

const recordName = /^watchdog\.(\d+)\.json$/;

/**
 * Which watchdog rules a data folder: the one of the highest generation. A generation is claimed by `link(2)`, which
 * only one can win and which shows the file with all its content; the highest file is never removed. So no lock
 * has to be broken when its holder was killed, and two who find the same dead holder cannot both succeed it.
 */
export async function findWatchdog(home: string): Promise<WatchdogRecord | undefined> {
  const highest = await highestGeneration(home);
  const text = await readIfThere(fileOf(home, highest));
  if (text === undefined) return undefined;
  const record = JSON.parse(text) as WatchdogRecord;
  return (await isWatchdog(record.pid, home)) ? record : undefined;
}

/** Makes the caller the watchdog of the folder; false when another one lives or was quicker. */
export async function claimWatchdog(home: string, record: WatchdogRecord): Promise<boolean> {
  const highest = await highestGeneration(home);
  if (await findWatchdog(home)) return false;
  const draft = join(home, `watchdog.${record.pid}.draft`);
  await writeFile(draft, JSON.stringify(record), { mode: 0o600 });
  try {
    await link(draft, fileOf(home, highest + 1));
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
  // A claim of a generation that was passed and cleared away meanwhile is void.
  if ((await highestGeneration(home)) > highest + 1) {
    await rm(fileOf(home, highest + 1), { force: true });
    return false;
  }
  const older = (await generations(home)).filter((generation) => generation <= highest);
  await Promise.all(older.map((generation) => rm(fileOf(home, generation), { force: true })));
  return true;
}

/** A pid alone proves nothing, it may be another process's by now; the command line of a watchdog names its folder. */
async function isWatchdog(pid: number, home: string): Promise<boolean> {
  const command = (await processEntry(pid))?.command ?? '';
  return command.includes('watchdog') && command.replace(/"$/, '').endsWith(home);
}

async function generations(home: string): Promise<number[]> {
  const names = await readdir(home);
  return names.flatMap((name) => (recordName.test(name) ? [Number(recordName.exec(name)?.[1])] : []));
}

async function highestGeneration(home: string): Promise<number> {
  return Math.max(0, ...(await generations(home)));
}

function fileOf(home: string, generation: number): string {
  return join(home, `watchdog.${generation}.json`);
}
