import { Injectable } from '@nestjs/common';
import type { AuditEntry } from '../../platform/audit';
import { type Statement, statement, UnitOfWork } from '../../platform/database';

/** An entry where it stands. */
export interface RecordedEntry extends AuditEntry {
  readonly id: string;
  readonly seq: number;
  readonly at: string;
}

/** What an entry must have to be found; what is `undefined` is not asked for. */
export interface AuditFilter {
  readonly actor: string | undefined;
  readonly action: string | undefined;
  readonly outcome: string | undefined;
  readonly subject: string | undefined;
}

/** Numbers of entries, both included. */
export interface SeqRange {
  readonly from: number;
  readonly to: number;
}

/** An entry as it was hashed, and its hash in hexadecimal. */
export interface Link {
  readonly seq: number;
  readonly body: string;
  readonly hash: string;
}

/** Each condition counts its parameter from 5: behind practice, range and limit. */
const conditions: Readonly<Record<keyof AuditFilter, (parameter: string) => string>> = {
  actor: (parameter) => `actor = ${parameter}`,
  action: (parameter) => `action = ${parameter}`,
  outcome: (parameter) => `outcome = ${parameter}`,
  subject: (parameter) => `seq IN (SELECT audit_entries_about(${parameter}, $2, $3))`,
};
const filterNames = Object.keys(conditions) as (keyof AuditFilter)[];

/**
 * A statement for each set of filters: with one that takes them all as optional, Postgres could plan for none. Outcomes other
 * than `allowed` are searched through an index that has nothing else.
 */
const searches = new Map<string, Statement<{ body: RecordedEntry }>>();
for (let set = 0; set < 2 ** filterNames.length; set += 1) {
  const names = filterNames.filter((_, bit) => (set & (1 << bit)) !== 0);
  for (const isRare of names.includes('outcome') ? [false, true] : [false]) {
    const where = names.map((name, index) => ` AND ${conditions[name](`$${index + 5}`)}`).join('');
    const key = searchKey(names, isRare);
    const text = `SELECT body FROM audit_entries
       WHERE practice_id = $1 AND seq BETWEEN $2 AND $3${where}${isRare ? ` AND outcome <> 'allowed'` : ''}
       ORDER BY seq DESC LIMIT $4`;
    searches.set(key, statement(`audit.search-${key}`, text));
  }
}

function searchKey(names: readonly string[], isRare: boolean): string {
  return [...names, ...(isRare ? ['rare'] : [])].join('-');
}

/** The first number at or after a time, by halving: numbers and times of a chain rise together. */
const firstSince = statement<{ seq: string }>(
  'audit.first-since',
  `WITH RECURSIVE halving (low, high) AS (
     SELECT 1::bigint, coalesce((SELECT max(seq) FROM audit_entries WHERE practice_id = $1), 0) + 1
     UNION ALL
     SELECT CASE WHEN isBefore THEN middle + 1 ELSE low END, CASE WHEN isBefore THEN high ELSE middle END
     FROM halving, LATERAL (
       SELECT seq AS middle, (body ->> 'at') COLLATE "C" < $2 AS isBefore FROM audit_entries
       WHERE practice_id = $1 AND seq = (low + high) / 2
     ) entry
     WHERE low < high
   )
   SELECT low AS seq FROM halving WHERE low >= high`,
);

const last = statement<{ seq: string | null }>(
  'audit.last',
  `SELECT max(seq) AS seq FROM audit_entries WHERE practice_id = $1`,
);

const links = statement<{ seq: string; body: string; hash: string }>(
  'audit.links',
  `SELECT seq, body::text AS body, encode(hash, 'hex') AS hash FROM audit_entries
   WHERE practice_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`,
);

/** The practice's own chain, to be read alone: the runtime role may do nothing else with it. */
@Injectable()
export class AuditRepository {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** Newest first; one more than `limit` where there are more. */
  async search(practiceId: string, range: SeqRange, filter: AuditFilter, limit: number): Promise<RecordedEntry[]> {
    const names = filterNames.filter((name) => filter[name] !== undefined);
    const isRare = filter.outcome !== undefined && filter.outcome !== 'allowed';
    const search = searches.get(searchKey(names, isRare));
    if (!search) throw new Error('A set of filters has no statement');
    const values = [practiceId, range.from, range.to, limit + 1, ...names.map((name) => filter[name])];
    return (await this.unitOfWork.query(search, values)).map(({ body }) => body);
  }

  /** The number of the first entry at or after a time; one beyond the last where there is none. @param at RFC 3339 with milliseconds, UTC */
  async firstSince(practiceId: string, at: string): Promise<number> {
    const [row] = await this.unitOfWork.query(firstSince, [practiceId, at]);
    if (!row) throw new Error('The chain has a gap');
    return Number(row.seq);
  }

  /** The number of the last entry; 0 where there is none. */
  async last(practiceId: string): Promise<number> {
    const [row] = await this.unitOfWork.query(last, [practiceId]);
    return Number(row?.seq ?? 0);
  }

  /** In order, at most so many. */
  async links(practiceId: string, afterSeq: number, untilSeq: number, limit: number): Promise<Link[]> {
    const rows = await this.unitOfWork.query(links, [practiceId, afterSeq, untilSeq, limit]);
    return rows.map(({ seq, body, hash }) => ({ seq: Number(seq), body, hash }));
  }
}
