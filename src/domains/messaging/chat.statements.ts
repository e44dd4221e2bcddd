import { statement } from '../../platform/database';
import type { ChannelAccess } from './entities/channel.entity';
import type { Message } from './entities/message.entity';

/** The columns of `messages m`, as an answer needs them. */
export const messageColumns = `
  m.workspace_id, m.ts, m.user_id, m.app_id, m.text, m.thread_ts, m.reply_count, m.latest_reply, m.edited_ts, m.is_tombstone`;

const now = '(extract(epoch FROM clock_timestamp()) * 1000000)::bigint';

/** What became of a post, where the channel exists. */
export interface Posting extends ChannelAccess {
  /** Microseconds since 1970; `null` where nothing was posted. */
  readonly ts: string | null;
}

/**
 * $1 workspace, $2 channel, $3 user, $4 app, $5 text, $6 thread or null. One statement, so that it travels with its commit.
 * The update of the channel's row comes first and holds it: whoever posts there next waits, and gets a later time. The
 * thread is found by its update: what was deleted meanwhile is not there any more, whatever this statement saw before.
 */
export const post = statement<Posting>(
  'messaging.post',
  `WITH target AS MATERIALIZED (
     SELECT c.is_private, c.is_archived, m.user_id IS NOT NULL AS is_member
     FROM channels c
     LEFT JOIN channel_members m ON m.workspace_id = c.workspace_id AND m.channel_id = c.id AND m.user_id = $3
     WHERE c.workspace_id = $1 AND c.id = $2
   ), moment AS (
     UPDATE channels c SET last_ts = greatest(c.last_ts + 1, ${now}) FROM target t
     WHERE c.workspace_id = $1 AND c.id = $2 AND NOT c.is_archived AND t.is_member
     RETURNING c.last_ts
   ), thread AS (
     UPDATE messages p SET reply_count = p.reply_count + 1, latest_reply = moment.last_ts FROM moment
     WHERE $6::bigint IS NOT NULL AND p.workspace_id = $1 AND p.channel_id = $2 AND p.ts = $6 AND p.thread_ts IS NULL
       AND NOT p.is_tombstone
     RETURNING p.ts
   ), posted AS (
     INSERT INTO messages (workspace_id, channel_id, ts, user_id, app_id, text, thread_ts)
     SELECT $1, $2, last_ts, $3, $4, $5, $6 FROM moment WHERE $6::bigint IS NULL OR EXISTS (SELECT FROM thread)
     RETURNING ts
   )
   SELECT t.*, posted.ts FROM target t LEFT JOIN posted ON true`,
);

export const channelNamed = statement<{ id: string }>(
  'messaging.channel-named',
  `SELECT id FROM channels WHERE workspace_id = $1 AND name = $2`,
);

/** $1 workspace, $2 channel, $3 user. */
export const hold = statement<ChannelAccess>(
  'messaging.hold',
  `SELECT c.is_private, c.is_archived, EXISTS (
     SELECT FROM channel_members m WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.user_id = $3) AS is_member
   FROM channels c WHERE c.workspace_id = $1 AND c.id = $2 FOR NO KEY UPDATE`,
);

/** $1 workspace, $2 channel, $3 time; as the four behind it. */
export const message = statement<Message>(
  'messaging.message',
  `SELECT ${messageColumns} FROM messages m
   WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.ts = $3 AND NOT m.is_tombstone`,
);

/** $4 the text. */
export const update = statement<Message>(
  'messaging.update',
  `UPDATE messages m SET text = $4, edited_ts = ${now} WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.ts = $3
   RETURNING ${messageColumns}`,
);

export const remove = statement(
  'messaging.remove',
  `DELETE FROM messages WHERE workspace_id = $1 AND channel_id = $2 AND ts = $3`,
);

export const bury = statement(
  'messaging.bury',
  `UPDATE messages SET text = '', edited_ts = NULL, is_tombstone = true
   WHERE workspace_id = $1 AND channel_id = $2 AND ts = $3`,
);

/** A thread that lost its newest reply must say which one is the newest now. */
export const recount = statement(
  'messaging.recount',
  `UPDATE messages SET reply_count = reply_count - 1, latest_reply = (
     SELECT max(r.ts) FROM messages r WHERE r.workspace_id = $1 AND r.channel_id = $2 AND r.thread_ts = $3)
   WHERE workspace_id = $1 AND channel_id = $2 AND ts = $3`,
);
