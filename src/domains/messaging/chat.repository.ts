import { Injectable } from '@nestjs/common';
import { statement, UnitOfWork } from '../../platform/database';
import type { ChannelAccess } from './entities/channel.entity';

/** Who posts, and through which app. */
export interface Author {
  readonly userId: string;
  readonly appId: string;
}

/** What became of a post, where the channel exists. */
export interface Posting extends ChannelAccess {
  /** Whether the thread exists; true where none was named. */
  readonly has_thread: boolean;
  /** Microseconds since 1970; `null` where nothing was posted. */
  readonly ts: string | null;
}

/**
 * $1 workspace, $2 channel, $3 user, $4 app, $5 text, $6 thread or null. One statement, so that it travels with its commit.
 * The update of the channel's row comes first and holds it: whoever posts there next waits, and gets a later time.
 */
const post = statement<Posting>(
  'messaging.post',
  `WITH target AS MATERIALIZED (
     SELECT c.is_private, c.is_archived, m.user_id IS NOT NULL AS is_member,
       $6::bigint IS NULL OR EXISTS (
         SELECT FROM messages p WHERE p.workspace_id = $1 AND p.channel_id = $2 AND p.ts = $6 AND p.thread_ts IS NULL
           AND NOT p.is_tombstone
       ) AS has_thread
     FROM channels c
     LEFT JOIN channel_members m ON m.workspace_id = c.workspace_id AND m.channel_id = c.id AND m.user_id = $3
     WHERE c.workspace_id = $1 AND c.id = $2
   ), moment AS (
     UPDATE channels c SET last_ts = greatest(c.last_ts + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
     FROM target t
     WHERE c.workspace_id = $1 AND c.id = $2 AND NOT c.is_archived AND t.is_member AND t.has_thread
     RETURNING c.last_ts
   ), posted AS (
     INSERT INTO messages (workspace_id, channel_id, ts, user_id, app_id, text, thread_ts)
     SELECT $1, $2, last_ts, $3, $4, $5, $6 FROM moment RETURNING ts
   ), thread AS (
     UPDATE messages p SET reply_count = p.reply_count + 1, latest_reply = moment.last_ts FROM moment
     WHERE $6::bigint IS NOT NULL AND p.workspace_id = $1 AND p.channel_id = $2 AND p.ts = $6
   )
   SELECT t.*, posted.ts FROM target t LEFT JOIN posted ON true`,
);
const channelNamed = statement<{ id: string }>(
  'messaging.channel-named',
  `SELECT id FROM channels WHERE workspace_id = $1 AND name = $2`,
);

@Injectable()
export class ChatRepository {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** Posts, and commits in the same round trip; `undefined` where the workspace has no such channel. */
  async postAndCommit(
    workspaceId: string,
    channelId: string,
    { userId, appId }: Author,
    text: string,
    threadTs: string | undefined,
  ): Promise<Posting | undefined> {
    const values = [workspaceId, channelId, userId, appId, text, threadTs ?? null];
    const [[posting]] = await Promise.all([this.unitOfWork.query(post, values), this.unitOfWork.commit()]);
    return posting;
  }

  async channelNamed(workspaceId: string, name: string): Promise<string | undefined> {
    const [channel] = await this.unitOfWork.query(channelNamed, [workspaceId, name]);
    return channel?.id;
  }
}
