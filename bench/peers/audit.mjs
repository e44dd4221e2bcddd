// @ts-check
/** A bare chain of SHA-256 over entries that lie in memory: nothing that verifies the same log with this hash function can be faster. */
import { createRequire } from 'node:module';
import { hash } from 'node:crypto';
import { entryOf } from '../ours/audit.mjs';
import { root } from '../places.mjs';

const IN_MEMORY = 100_000;

/** @param {{ practice: string, entries: number }} config */
export async function create({ practice, entries }) {
  const { saidOf } = createRequire(import.meta.url)(`${root}/dist/platform/audit/entry.js`);
  const bodies = Array.from({ length: IN_MEMORY }, (_, n) =>
    // What the database puts in front of what an entry says.
    Buffer.from(
      `{"v":1,"practice":"${practice}","seq":${n + 1},"id":"aud_01jz0000000000000000000001","at":"2026-01-01T00:00:00.000Z",${saidOf(entryOf(practice, n)).slice(1)}`,
    ),
  );
  const scratch = Buffer.alloc(64 * 1024);
  return {
    operate() {
      for (let n = 0; n < entries; n++) {
        const body = bodies[n % IN_MEMORY];
        body.copy(scratch, 32);
        hash('sha256', scratch.subarray(0, 32 + body.length), 'buffer').copy(scratch);
      }
    },
    summary: () => ({ entries }),
  };
}
