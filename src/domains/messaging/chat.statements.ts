import { statement } from '../../platform/database';
import { isActive } from './accounts';
import type { ChannelAccess } from './entities/channel.entity';
import type { Message } from './entities/message.entity';

/** The columns of `messages m`, as an answer needs them; its text aside. */
export const messageColumns = `
  m.workspace_id, m.ts, m.user_id, m.app_id, m.thread_ts, m.reply_count, m.latest_reply, m.edited_ts, m.is_tombstone`;

const now = '(extract(epoch FROM clock_timestamp()) * 1000000)::bigint';

/** The moment of a message, for which its channel is held until the commit: whoever posts there next waits, and gets a later one. */
const moment = `
   UPDATE channels c SET last_ts = greatest(c.last_ts + 1, ${now})
   WHERE c.workspace_id = $1 AND c.id = $2 AND NOT c.is_archived AND EXISTS (
     SELECT FROM channel_members m WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.user_id = $3)
     AND ${isActive('$3')}
   RETURNING c.last_ts`;

/**
 * $1 workspace, $2 channel, $3 user, $4 app, $5 text; gives the message's time in microseconds since 1970, or no row where
 * something stood in its way. What that was costs every message a third more to tell (`mayPost`).
 */
export const post = statement<{ ts: string }>(
  'messaging.post',
  `WITH moment AS (${moment})
   INSERT INTO messages (workspace_id, channel_id, ts, user_id, app_id, text)
   SELECT $1, $2, last_ts, $3, $4, $5 FROM moment
   RETURNING ts`,
);

/**
 * As `post`, $6 the thread; it is found by its update: what was deleted meanwhile is not there any more, whatever this
 * statement saw before.
 */
export const reply = statement<{ ts: string }>(
  'messaging.reply',
  `WITH moment AS (${moment}), thread AS (
     UPDATE messages p SET reply_count = p.reply_count + 1, latest_reply = moment.last_ts FROM moment
     WHERE p.workspace_id = $1 AND p.channel_id = $2 AND p.ts = $6 AND p.thread_ts IS NULL AND NOT p.is_tombstone
     RETURNING moment.last_ts
   )
   INSERT INTO messages (workspace_id, channel_id, ts, user_id, app_id, text, thread_ts)
   SELECT $1, $2, last_ts, $3, $4, $5, $6 FROM thread
   RETURNING ts`,
);

/** What a user may do in a channel, which exists, and in a thread of it. */
export interface PostingAccess extends ChannelAccess {
  /** True where no thread was asked for. */
  readonly has_thread: boolean;
}

/** $1 workspace, $2 channel, $3 user, $4 thread or null. */
export const mayPost = statement<PostingAccess>(
  'messaging.may-post',
  `SELECT ${isActive('$3')} AS is_active, c.is_private, c.is_archived,
     EXISTS (
       SELECT FROM channel_members m WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.user_id = $3) AS is_member,
     $4::bigint IS NULL OR EXISTS (
       SELECT FROM messages p WHERE p.workspace_id = $1 AND p.channel_id = $2 AND p.ts = $4 AND p.thread_ts IS NULL
         AND NOT p.is_tombstone) AS has_thread
   FROM channels c WHERE c.workspace_id = $1 AND c.id = $2`,
);

export const channelNamed = statement<{ id: string }>(
  'messaging.channel-named',
  `SELECT id FROM channels WHERE workspace_id = $1 AND name = $2`,
);

/** $1 workspace, $2 channel, $3 user. */
export const hold = statement<ChannelAccess>(
  'messaging.hold',
  `SELECT ${isActive('$3')} AS is_active, c.is_private, c.is_archived, EXISTS (
     SELECT FROM channel_members m WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.user_id = $3) AS is_member
   FROM channels c WHERE c.workspace_id = $1 AND c.id = $2 FOR NO KEY UPDATE`,
);

/** $1 workspace, $2 channel, $3 time; as the four behind it. */
export const message = statement<Message>(
  'messaging.message',
  `SELECT ${messageColumns}, m.text FROM messages m
   WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.ts = $3 AND NOT m.is_tombstone`,
);

/** $4 the text. */
export const update = statement<Message>(
  'messaging.update',
  `UPDATE messages m SET text = $4, edited_ts = ${now} WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.ts = $3
   RETURNING ${messageColumns}, m.text`,
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
