import { statement } from '../../platform/database';
import type { Channel, ChannelAccess } from './entities/channel.entity';
import type { Message } from './entities/message.entity';

const channelColumns = `
  c.workspace_id, c.id, c.name, c.is_private, c.is_archived, c.is_general, c.creator, c.num_members,
  extract(epoch FROM c.created_at)::int AS created`;

const membership = (user: string) =>
  `channel_members m ON m.workspace_id = c.workspace_id AND m.channel_id = c.id AND m.user_id = ${user}`;

const messageColumns = `
  m.workspace_id, m.ts, m.user_id, m.app_id, m.text, m.thread_ts, m.reply_count, m.latest_reply, m.edited_ts, m.is_tombstone`;

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
  `SELECT c.is_private, c.is_archived, m.user_id IS NOT NULL AS is_member
   FROM channels c LEFT JOIN ${membership('$3')} WHERE c.workspace_id = $1 AND c.id = $2`,
);

/** $1 workspace, $2 channel, $3 and $4 the times between which, both excluded, $5 rows. Newest first. */
export const history = statement<Message>(
  'messaging.history',
  `SELECT ${messageColumns} FROM messages m
   WHERE m.workspace_id = $1 AND m.channel_id = $2 AND m.thread_ts IS NULL AND m.ts > $3::bigint AND m.ts < $4::bigint
   ORDER BY m.ts DESC LIMIT $5`,
);
