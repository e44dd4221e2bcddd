import { Injectable } from '@nestjs/common';
import { statement } from '../../../platform/database';
import { SystemDatabase } from '../../../platform/database/system';
import type { Revocation, RevocationKind } from './revocation-list';

/** A revocation with who made it. */
export interface RecordedRevocation extends Revocation {
  readonly id: string;
  readonly revokedBy: string;
}

/** What a poll found, and from where the next one goes on. */
export interface News {
  readonly revocations: Revocation[];
  readonly horizon: string;
}

interface Row {
  readonly id: string;
  readonly kind: RevocationKind;
  readonly value: string;
  readonly revoked_at: Date;
  readonly expires_at: Date;
  readonly revoked_by: string;
}

type NewsRow = { readonly horizon: string } & (Row | { readonly id: null });

/**
 * The horizon is the oldest transaction that still ran: whatever a poll could not see yet belongs to it or to a later
 * one. Times and ids would not do, they commit out of order.
 */
const since = statement<NewsRow>(
  'auth.revocations-since',
  `SELECT horizon::text, r.id, r.kind, r.value, r.revoked_at, r.expires_at, r.revoked_by
     FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon) AS snapshot
     LEFT JOIN revocations AS r ON r.transaction_id >= $1::xid8 AND r.expires_at > $2`,
);
const insert = statement(
  'auth.insert-revocation',
  `INSERT INTO revocations (id, kind, value, revoked_at, expires_at, revoked_by) VALUES ($1, $2, $3, $4, $5, $6)`,
);
const page = statement<Row>(
  'auth.list-revocations',
  `SELECT id, kind, value, revoked_at, expires_at, revoked_by FROM revocations
    WHERE expires_at > $1 AND ($2::text IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`,
);
const purge = statement('auth.purge-revocations', 'DELETE FROM revocations WHERE expires_at <= $1');

/** The first horizon: all revocations. */
export const wholePast = '0';

/** The revocations in Postgres; they are of no tenant. */
@Injectable()
export class RevocationsStore {
  constructor(private readonly database: SystemDatabase) {}

  /** Every revocation in force that a poll with `horizon` could not see; some that it saw come again. */
  async since(horizon: string, now: Date): Promise<News> {
    const rows = await this.database.run((sql) => sql.query(since, [horizon, now]), 'critical');
    return {
      horizon: rows[0]?.horizon ?? horizon,
      revocations: rows.filter((row): row is NewsRow & Row => row.id !== null).map(revocationOf),
    };
  }

  async insert({ id, kind, value, revokedAt, expiresAt, revokedBy }: RecordedRevocation): Promise<void> {
    await this.database.run((sql) => sql.query(insert, [id, kind, value, revokedAt, expiresAt, revokedBy]), 'critical');
  }

  /** The revocations in force before that id, newest first. */
  async list(now: Date, before: string | undefined, limit: number): Promise<RecordedRevocation[]> {
    const rows = await this.database.run((sql) => sql.query(page, [now, before ?? null, limit]));
    return rows.map(revocationOf);
  }

  async purge(now: Date): Promise<void> {
    await this.database.run((sql) => sql.query(purge, [now]));
  }
}

function revocationOf({ id, kind, value, revoked_at, expires_at, revoked_by }: Row): RecordedRevocation {
  return { id, kind, value, revokedAt: revoked_at, expiresAt: expires_at, revokedBy: revoked_by };
}
