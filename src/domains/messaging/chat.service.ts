import { Injectable } from '@nestjs/common';
import { Transactional } from '../../platform/database';
import { type Caller, workspaceOf } from '../../policy';
import { type Author, ChatRepository } from './chat.repository';
import type { PostMessage } from './dto/chat.dto';
import type { Message } from './entities/message.entity';
import { ChannelNotFound, MessageTooLong, NoText, ThreadNotFound } from './messaging.errors';
import { refuseUnlessMember } from './membership';
import { microsOf } from './timestamp';

/** Slack's limit, in characters. */
const longestText = 40_000;

/** A message and where it stands. */
export interface Posted {
  readonly channel: string;
  readonly message: Message;
}

/** What a bot says. */
@Injectable()
export class ChatService {
  constructor(private readonly repository: ChatRepository) {}

  /**
   * Posts to a channel or a thread of the caller's workspace. Durable, and visible to all, when it returns; the messages of
   * a channel have rising times, in the order in which they become visible.
   * @throws NoText, MessageTooLong, ChannelNotFound, NotInChannel, IsArchived, ThreadNotFound
   */
  @Transactional()
  async post(caller: Caller, request: PostMessage): Promise<Posted> {
    const text = sayable(request.text);
    const workspaceId = workspaceOf(caller);
    const channel = await this.channelOf(workspaceId, request.channel);
    const author = authorOf(caller);
    const threadTs = request.thread_ts === undefined ? undefined : microsOf(request.thread_ts);
    const posting = await this.repository.postAndCommit(workspaceId, channel, author, text, threadTs);
    refuseUnlessMember(posting);
    if (!posting.has_thread) throw new ThreadNotFound();
    if (posting.ts === null) throw new Error('Nothing refused the message, and it was not posted');
    return { channel, message: newMessage(workspaceId, posting.ts, author, text, threadTs) };
  }

  /** A channel is named by its id, or by `#` and its name. */
  private async channelOf(workspaceId: string, named: string): Promise<string> {
    if (!named.startsWith('#')) return named;
    const id = await this.repository.channelNamed(workspaceId, named.slice(1));
    if (id === undefined) throw new ChannelNotFound();
    return id;
  }
}

function authorOf({ userId, clientId }: Caller): Author {
  return { userId, appId: clientId };
}

function sayable(text: string | undefined): string {
  if (text === undefined || text === '') throw new NoText();
  if (text.length > longestText && Array.from(text).length > longestText) throw new MessageTooLong();
  return text;
}

function newMessage(
  workspaceId: string,
  ts: string,
  { userId, appId }: Author,
  text: string,
  threadTs: string | undefined,
): Message {
  return {
    workspace_id: workspaceId,
    ts,
    user_id: userId,
    app_id: appId,
    text,
    thread_ts: threadTs ?? null,
    reply_count: 0,
    latest_reply: null,
    edited_ts: null,
    is_tombstone: false,
  };
}
