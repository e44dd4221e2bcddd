import { Injectable } from '@nestjs/common';
import { crossPracticeCode } from '../audit';
import { statement } from '../database';
import { SystemDatabase } from '../database/system';
import { type Attempt, mostNamed, type Page } from './page';

export type ChannelName = 'mail' | 'webhook';

/** A user is paged for at once, and then at most once in so many seconds, with all attempts counted. */
const quietSeconds = 60;
/** Longer than the longest attempt to send: 15 s of HTTP exchange. */
const leaseSeconds = 20;
/** Users that are paged for in one transaction. */
const mostCut = 200;

interface Row {
  readonly chain: string;
  readonly actor: string;
  readonly firstSeq: string;
  readonly lastSeq: string;
  readonly attempts: number;
  readonly firstAt: Date;
  readonly lastAt: Date;
  readonly tries: number;
}

/** A page that this process alone may send over that channel, until the lease ends. */
export interface Notice {
  readonly channel: ChannelName;
  readonly page: Page;
  /** The fencing token; 1 for the first. */
  readonly tries: number;
}

/** Who cuts while frozen is ended by Postgres; the next one cuts the same pages. */
const lock = statement<{ limit: string }>(
  'paging.lock',
  `SELECT set_config('idle_in_transaction_session_timeout', '3s', true) AS limit FROM security_pager FOR UPDATE SKIP LOCKED`,
);

/** As a literal: the index is partial. */
const isAttempt = `body ->> 'code' = '${crossPracticeCode}'`;

/** Everyone who ever tried, found by one probe each, however often they tried. */
const everyone = `
  RECURSIVE everyone AS (
    (SELECT practice_id AS chain, actor FROM audit_entries WHERE ${isAttempt}
     ORDER BY practice_id, actor LIMIT 1)
    UNION ALL
    SELECT next.* FROM everyone CROSS JOIN LATERAL (
      SELECT practice_id, actor FROM audit_entries
      WHERE ${isAttempt} AND (practice_id, actor) > (everyone.chain, everyone.actor)
      ORDER BY practice_id, actor LIMIT 1
    ) next
  )`;

const ofThisUser = `${isAttempt} AND practice_id = everyone.chain AND audit_entries.actor = everyone.actor
  AND seq > coalesce(paged_through_seq, 0)`;

/** Takes all attempts that nobody was told of into one page a user, and that page onto every channel. */
const cut = statement<{ pages: number }>(
  'paging.cut',
  `WITH ${everyone}, spans AS (
     SELECT everyone.chain, everyone.actor, span.* FROM everyone
     LEFT JOIN security_pages p ON p.chain = everyone.chain AND p.actor = everyone.actor
     CROSS JOIN LATERAL (
       SELECT least(sum(greatest((body -> 'detail' ->> 'count')::bigint, 1)), 1e9)::int AS attempts,
         min(seq) AS first_seq, max(seq) AS last_seq,
         min((body ->> 'at')::timestamptz) AS first_at, max((body ->> 'at')::timestamptz) AS last_at
       FROM audit_entries WHERE ${ofThisUser}
     ) span
     WHERE (p.last_paged_at IS NULL OR p.last_paged_at <= now() - make_interval(secs => $2)) AND span.last_seq IS NOT NULL
     LIMIT $3
   ), marked AS (
     INSERT INTO security_pages (chain, actor, paged_through_seq, last_paged_at)
     SELECT chain, actor, last_seq, now() FROM spans
     ON CONFLICT (chain, actor) DO UPDATE
       SET paged_through_seq = excluded.paged_through_seq, last_paged_at = excluded.last_paged_at
   ), noted AS (
     INSERT INTO security_notices (channel, chain, actor, first_seq, last_seq, attempts, first_at, last_at)
     SELECT channel, chain, actor, first_seq, last_seq, attempts, first_at, last_at
     FROM spans CROSS JOIN unnest($1::text[]) AS channel
     ON CONFLICT (channel, chain, actor, first_seq) DO UPDATE
       SET last_seq = excluded.last_seq, attempts = excluded.attempts, first_at = excluded.first_at, last_at = excluded.last_at,
         tries = least(security_notices.tries, 1000000) + 1, next_attempt_at = now()
   )
   SELECT count(*)::int AS pages FROM spans`,
);

const claim = statement<Row>(
  'paging.claim',
  `WITH due AS (
     SELECT chain, actor, first_seq FROM security_notices WHERE channel = $1 AND next_attempt_at <= now()
     ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED
   )
   UPDATE security_notices n SET tries = tries + 1, next_attempt_at = now() + make_interval(secs => $3)
   FROM due WHERE n.channel = $1 AND n.chain = due.chain AND n.actor = due.actor AND n.first_seq = due.first_seq
   RETURNING n.chain, n.actor, n.first_seq AS "firstSeq", n.last_seq AS "lastSeq", n.attempts, n.first_at AS "firstAt",
     n.last_at AS "lastAt", n.tries`,
);

const named = statement<Attempt>(
  'paging.named',
  `SELECT body ->> 'at' AS at, body ->> 'route' AS route, body -> 'subjects' AS subjects, body ->> 'subjectPractice' AS "subjectPractice",
     body ->> 'correlationId' AS "correlationId"
   FROM audit_entries
   WHERE ${isAttempt} AND practice_id = $1 AND actor = $2 AND seq BETWEEN $3 AND $4
   ORDER BY seq LIMIT ${mostNamed}`,
);

const ofNotice = `channel = $1 AND chain = $2 AND actor = $3 AND first_seq = $4 AND tries = $5`;
const finish = statement<{ tries: number }>(
  'paging.finish',
  `DELETE FROM security_notices WHERE ${ofNotice} RETURNING tries`,
);
const postpone = statement<{ tries: number }>(
  'paging.postpone',
  `UPDATE security_notices SET next_attempt_at = now() + $6 * interval '1 ms' WHERE ${ofNotice} RETURNING tries`,
);

/** Attempts that the minute of quiet holds back are not late. */
const oldest = statement<{ seconds: number }>(
  'paging.oldest',
  `WITH ${everyone}
   SELECT greatest(0, extract(epoch FROM now() - least(
     (SELECT min(created_at) FROM security_notices),
     (SELECT min(greatest((first.at)::timestamptz, p.last_paged_at + make_interval(secs => $1))) FROM everyone
      LEFT JOIN security_pages p ON p.chain = everyone.chain AND p.actor = everyone.actor
      CROSS JOIN LATERAL (
        SELECT body ->> 'at' AS at FROM audit_entries WHERE ${ofThisUser} ORDER BY seq LIMIT 1
      ) first)
   )))::float8 AS seconds`,
);

/** The pages in Postgres. Its connections are those that no relay can take: a page is due within seconds. */
@Injectable()
export class PagesStore {
  constructor(private readonly system: SystemDatabase) {}

  /**
   * Makes the pages that are due. Of several processes that try at once, one does.
   * @returns how many, and whether there may be more
   */
  cut(channels: readonly ChannelName[]): Promise<{ pages: number; full: boolean }> {
    return this.system.run(async (sql) => {
      const [lease] = await sql.query(lock);
      if (!lease) return { pages: 0, full: false };
      // A statement of its own: its snapshot has what the last holder of the lock committed.
      const [made] = await sql.query(cut, [channels, quietSeconds, mostCut]);
      const pages = made?.pages ?? 0;
      return { pages, full: pages === mostCut };
    }, 'critical');
  }

  /** Begins to send what is due over that channel; nobody else may until the lease is over. */
  claim(channel: ChannelName, most: number): Promise<Notice[]> {
    return this.system.run(async (sql) => {
      const rows = await sql.query(claim, [channel, most, leaseSeconds]);
      return Promise.all(
        rows.map(async ({ tries, ...row }): Promise<Notice> => {
          const attempts = await sql.query(named, [row.chain, row.actor, row.firstSeq, row.lastSeq]);
          const page = { ...row, firstSeq: Number(row.firstSeq), lastSeq: Number(row.lastSeq), named: attempts };
          return { channel, page, tries };
        }),
      );
    }, 'critical');
  }

  /** It arrived. @returns whether this was still the latest attempt */
  finish(notice: Notice): Promise<boolean> {
    return this.system.run(async (sql) => (await sql.query(finish, keyOf(notice))).length > 0, 'critical');
  }

  /** It did not arrive, or nobody knows. @returns whether this was still the latest attempt */
  postpone(notice: Notice, delayMs: number): Promise<boolean> {
    const values = [...keyOf(notice), delayMs];
    return this.system.run(async (sql) => (await sql.query(postpone, values)).length > 0, 'critical');
  }

  /** How long the page that should have arrived first has been due, in seconds. */
  oldestSeconds(): Promise<number> {
    return this.system.run(async (sql) => (await sql.query(oldest, [quietSeconds]))[0]?.seconds ?? 0);
  }
}

function keyOf({ channel, page, tries }: Notice): unknown[] {
  return [channel, page.chain, page.actor, page.firstSeq, tries];
}
