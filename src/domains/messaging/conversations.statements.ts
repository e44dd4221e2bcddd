import { statement } from '../../platform/database';
import { isActive } from './accounts';
import { messageColumns } from './chat.statements';
import type { Channel, ChannelAccess } from './entities/channel.entity';
import type { Message } from './entities/message.entity';

const channelColumns = `
  c.workspace_id, c.id, c.name, c.is_private, c.is_archived, c.is_general, c.creator, c.num_members,
  extract(epoch FROM c.created_at)::int AS created`;

const membership = (user: string) =>
  `channel_members m ON m.workspace_id = c.workspace_id AND m.channel_id = c.id AND m.user_id = ${user}`;

/** $1 workspace, $2 user, $3 the id behind which it begins, $4 whether archived ones count, $5 which of private and public, $6 rows. */
export const list = statement<Channel>(
  'messaging.list-channels',
  `SELECT ${channelColumns}, m.user_id IS NOT NULL AS is_member
   FROM channels c LEFT JOIN ${membership('$2')}
   WHERE c.workspace_id = $1 AND c.id > $3 AND ($4 OR NOT c.is_archived) AND c.is_private = ANY ($5::boolean[])
     AND (NOT c.is_private OR m.user_id IS NOT NULL)
   ORDER BY c.id LIMIT $6`,
);

/** $1 workspace, $2 channel, $3 user. */
export const access = statement<ChannelAccess>(
  'messaging.access',
  `SELECT ${isActive('$3')} AS is_active, c.is_private, c.is_archived, m.user_id IS NOT NULL AS is_member
   FROM channels c LEFT JOIN ${membership('$3')} WHERE c.workspace_id = $1 AND c.id = $2`,
);

/** A message, or `text: null` for one that stands on a later page. */
export type Paged = Omit<Message, 'text'> & { readonly text: string | null };

/** Texts that a page begins with no more of, in bytes: the longest has 160,000, and a page may have 1,000. */
const mostTextBytes = 524_288;

/** The texts of a page in that order, as far as there is room; what stands behind is not even read. */
const roomForText = (order: string) =>
  `CASE WHEN coalesce(sum(octet_length(m.text)) OVER (ORDER BY ${order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
     < ${mostTextBytes} THEN m.text END AS text`;

/** $1 workspace, $2 channel, $3 and $4 the times between which, both excluded, $5 rows. Newest first. */
export const history = statement<Paged>(
  'messaging.history',
  `SELECT ${messageColumns}, ${roomForText('m.ts DESC')} FROM (
     SELECT * FROM messages m
     WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.thread_ts IS NULL AND m.ts > $3::bigint AND m.ts < $4::bigint
       AND NOT (m.is_tombstone AND m.reply_count = 0)
     ORDER BY m.ts DESC LIMIT $5
   ) AS m ORDER BY m.ts DESC`,
);

/** $1 workspace, $2 channel, $3 the thread. */
export const hasThread = statement<{ exists: boolean }>(
  'messaging.has-thread',
  `SELECT EXISTS (
     SELECT FROM messages m WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.ts = $3 AND m.thread_ts IS NULL)`,
);

/** As `history`, $6 the thread; oldest first, its first message before the replies. */
export const replies = statement<Paged>(
  'messaging.replies',
  `SELECT ${messageColumns}, ${roomForText('m.ts')} FROM (
     SELECT * FROM (
       (SELECT * FROM messages m
        WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.ts = $6 AND m.thread_ts IS NULL
          AND m.ts > $3::bigint AND m.ts < $4::bigint)
       UNION ALL
       (SELECT * FROM messages m
        WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.thread_ts = $6 AND m.ts > $3::bigint AND m.ts < $4::bigint
        ORDER BY m.ts LIMIT $5)
     ) AS thread ORDER BY ts LIMIT $5
   ) AS m ORDER BY m.ts`,
);

/** $1 workspace, $2 channel, $3 the id behind which it begins, $4 rows. */
export const members = statement<{ workspace_id: string; user_id: string }>(
  'messaging.members',
  `SELECT workspace_id, user_id FROM channel_members
   WHERE workspace_id = $1 AND channel_id = $2 AND user_id > $3 ORDER BY user_id LIMIT $4`,
);

/** A new channel, or why there is none. */
export interface Creation {
  /** Whether the workspace has the user. */
  readonly has_user: boolean;
  /** `null` where the name is taken. */
  readonly id: string | null;
  readonly created: number | null;
}

/** $1 workspace, $2 channel, $3 user, $4 name, $5 private. Its creator is its first member. */
export const create = statement<Creation>(
  'messaging.create-channel',
  `WITH creator AS (
     SELECT id FROM workspace_users WHERE workspace_id = $1 AND id = $3 AND NOT deleted
   ), made AS (
     INSERT INTO channels (workspace_id, id, name, is_private, creator, num_members)
     SELECT $1, $2, $4, $5, id, 1 FROM creator
     ON CONFLICT (workspace_id, name) DO NOTHING
     RETURNING id, extract(epoch FROM created_at)::int AS created
   ), joined AS (
     INSERT INTO channel_members (workspace_id, channel_id, user_id) SELECT $1, id, $3 FROM made
   )
   SELECT EXISTS (SELECT FROM creator) AS has_user, made.id, made.created FROM (VALUES (1)) AS one LEFT JOIN made ON true`,
);

/** The channel as it was before, and what became of the joining. */
export interface Joining extends Channel {
  readonly has_user: boolean;
  /** False where the user was a member, or may not be one. */
  readonly joined: boolean;
}

/** $1 workspace, $2 channel, $3 user. */
export const join = statement<Joining>(
  'messaging.join-channel',
  `WITH target AS MATERIALIZED (
     SELECT ${channelColumns}, m.user_id IS NOT NULL AS is_member, u.id IS NOT NULL AS has_user
     FROM channels c
     LEFT JOIN ${membership('$3')}
     LEFT JOIN workspace_users u ON u.workspace_id = c.workspace_id AND u.id = $3 AND NOT u.deleted
     WHERE c.workspace_id = $1 AND c.id = $2
   ), joined AS (
     INSERT INTO channel_members (workspace_id, channel_id, user_id)
     SELECT $1, $2, $3 FROM target WHERE has_user AND NOT is_private AND NOT is_archived
     ON CONFLICT DO NOTHING RETURNING 1
   ), counted AS (
     UPDATE channels SET num_members = num_members + 1
     WHERE workspace_id = $1 AND id = $2 AND EXISTS (SELECT FROM joined)
   )
   SELECT target.*, EXISTS (SELECT FROM joined) AS joined FROM target`,
);
