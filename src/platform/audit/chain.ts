import { createHash, hash } from 'node:crypto';

export const hashBytes = 32;

/** What the first entry of a chain is hashed with: no entry can be moved to the head of another practice's chain. */
export function genesisOf(practice: string): Buffer {
  return createHash('sha256').update(`gatehouse audit chain 1\n${practice}`).digest();
}

/** SHA-256 over the previous entry's hash and the entry's bytes: it vouches for all that came before. */
export function linkOf(previous: Buffer, body: Buffer): Buffer {
  return hash('sha256', Buffer.concat([previous, body], hashBytes + body.length), 'buffer');
}
