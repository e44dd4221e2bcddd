import { statement } from '../database';

/** The last entry of a chain. */
export interface ChainHead {
  readonly practice: string;
  /** A bigint, as the driver gives it. */
  readonly seq: string;
  readonly hash: Buffer;
}

/** All chains with their heads: two probes of the primary key for each, however long they are. */
export const chainHeads = statement<ChainHead>(
  'audit.chain-heads',
  `WITH RECURSIVE chain (practice) AS (
     SELECT min(practice_id) FROM audit_entries
     UNION ALL
     SELECT (SELECT min(practice_id) FROM audit_entries WHERE practice_id > practice) FROM chain WHERE practice IS NOT NULL
   )
   SELECT practice, seq, hash FROM chain, LATERAL (
     SELECT seq, hash FROM audit_entries WHERE practice_id = practice ORDER BY seq DESC LIMIT 1
   ) head`,
);
