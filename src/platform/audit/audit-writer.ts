import { Injectable } from '@nestjs/common';
import { DatabaseError } from 'pg';
import { statement } from '../database';
import { newId } from '../identifiers';
import { AuditConnections } from './audit-connections';
import { ChainStuck } from './audit.errors';
import { genesisOf, linkOf, lockOf } from './chain';
import { type AuditEntry, bodyOf } from './entry';

/** An entry and when it was made, in milliseconds since the Unix epoch. */
export interface TimedEntry {
  readonly entry: AuditEntry;
  readonly at: number;
}

interface Head {
  readonly practice: string;
  readonly seq: string | null;
  readonly hash: Buffer | null;
  readonly at: string | null;
}

const lockNotAvailable = '55P03';

/** A writer that froze inside its transaction would hold its chains for ever; Postgres ends it. */
export const limits = statement(
  'audit.limits',
  `SELECT set_config('idle_in_transaction_session_timeout', '3s', true), set_config('lock_timeout', '3s', true)`,
);

export const lock = statement('audit.lock', `SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) key`);

/** A statement of its own: that of the lock has the snapshot from before it waited. */
const heads = statement<Head>(
  'audit.heads',
  `SELECT practice, head.seq, head.hash, head.at FROM unnest($1::text[]) practice
   LEFT JOIN LATERAL (
     SELECT seq, hash, body ->> 'at' AS at FROM audit_entries WHERE practice_id = practice ORDER BY seq DESC LIMIT 1
   ) head ON true`,
);

/** json_array_elements gives each element as it was written, to the byte. */
const insert = statement(
  'audit.insert',
  `INSERT INTO audit_entries (body, hash)
   SELECT entry.body, substring($2::bytea FROM (entry.n::int - 1) * 32 + 1 FOR 32)
   FROM json_array_elements($1::json) WITH ORDINALITY AS entry (body, n)`,
);

/** Appends many entries to their chains in one transaction of three round trips. */
@Injectable()
export class AuditWriter {
  constructor(private readonly connections: AuditConnections) {}

  /**
   * Resolves once all of them are durable; else none is, or the connection broke during the commit.
   * @throws ChainStuck, DatabaseUnavailable, StatementCancelled
   */
  async write(chains: ReadonlyMap<string, readonly TimedEntry[]>): Promise<void> {
    try {
      await this.append(chains);
    } catch (error) {
      throw error instanceof DatabaseError && error.code === lockNotAvailable ? new ChainStuck(error) : error;
    }
  }

  private append(chains: ReadonlyMap<string, readonly TimedEntry[]>): Promise<void> {
    const practices = [...chains.keys()];
    // By the lock, not by the name: all who take several take them in one order.
    const locks = practices.map(lockOf).sort((a, b) => (a < b ? -1 : 1));
    return this.connections.append(async (transaction) => {
      const [, , found] = await Promise.all([
        transaction.query(limits),
        transaction.query(lock, [locks.map(String)]),
        transaction.query(heads, [practices]),
      ]);
      const bodies: string[] = [];
      const hashes: Buffer[] = [];
      for (const head of found) {
        let seq = Number(head.seq ?? 0);
        let at = head.at === null ? 0 : Date.parse(head.at);
        let previous = head.hash ?? genesisOf(head.practice);
        for (const timed of chains.get(head.practice) ?? []) {
          seq += 1;
          // Number and time rise together, whatever the clocks of two processes say: a time is found by its number.
          at = Math.max(at, timed.at);
          const body = bodyOf(timed.entry, { seq, id: newId('aud'), at });
          previous = linkOf(previous, Buffer.from(body));
          bodies.push(body);
          hashes.push(previous);
        }
      }
      await Promise.all([
        transaction.query(insert, [`[${bodies.join(',')}]`, Buffer.concat(hashes)]),
        transaction.commit(),
      ]);
    });
  }
}
