import { rm } from 'node:fs/promises';
import { runDir } from './places';

/** Gives the servers back; they stop with their last user. */
export default async function globalTeardown(): Promise<void> {
  await (globalThis as { testServers?: { stop(): Promise<void> } }).testServers?.stop();
  await rm(runDir, { recursive: true, force: true });
}
