import { createHash } from 'node:crypto';

export const hashBytes = 32;

/**
 * What the first entry of a chain is hashed with: no entry can be moved to the head of another practice's chain.
 * `append_audit_entries` says the same.
 */
export function genesisOf(practice: string): Buffer {
  return createHash('sha256').update(`gatehouse audit chain 1\n${practice}`).digest();
}
