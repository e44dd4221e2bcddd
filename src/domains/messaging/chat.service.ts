import { Injectable } from '@nestjs/common';
import { ReadOnly, Transactional } from '../../platform/database';
import { type Caller, type DomainError, workspaceOf } from '../../policy';
import { type Author, ChatRepository, type Draft } from './chat.repository';
import type { NamedMessage, PostMessage, UpdateMessage } from './dto/chat.dto';
import type { Message } from './entities/message.entity';
import {
  CannotDeleteMessage,
  CannotUpdateMessage,
  ChannelNotFound,
  MessageNotFound,
  MessageTooLong,
  NoText,
  ThreadNotFound,
} from './messaging.errors';
import { refuseUnlessMember } from './membership';
import { ownWorkspace } from './own-workspace';
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
   * @throws NoText, MessageTooLong, AccountInactive, ChannelNotFound, NotInChannel, IsArchived, ThreadNotFound
   */
  async post(caller: Caller, request: PostMessage): Promise<Posted> {
    const threadTs = request.thread_ts === undefined ? undefined : microsOf(request.thread_ts);
    const draft = { text: sayable(request.text), threadTs };
    const workspaceId = workspaceOf(caller);
    const author = authorOf(caller);
    const channel = await this.channelOf(workspaceId, request.channel);
    const ts = await this.repository.post(workspaceId, channel, author, draft);
    if (ts !== undefined) return { channel, message: newMessage(workspaceId, ts, author, draft) };
    await this.refuseToPost(workspaceId, channel, author, threadTs);
    return this.post(caller, request); // what stood in its way has gone since; the deadline ends it
  }

  /** Says what stands in a message's way, if anything does. */
  @ReadOnly()
  private async refuseToPost(
    workspaceId: string,
    channel: string,
    { userId }: Author,
    threadTs: string | undefined,
  ): Promise<void> {
    const access = await this.repository.mayPost(workspaceId, channel, userId, threadTs);
    refuseUnlessMember(access);
    if (!access.has_thread) throw new ThreadNotFound();
  }

  /**
   * Gives a message of the caller's own another text.
   * @throws NoText, MessageTooLong, AccountInactive, ChannelNotFound, NotInChannel, IsArchived, MessageNotFound, CannotUpdateMessage
   */
  @Transactional()
  async update(caller: Caller, { channel, ts, text }: UpdateMessage): Promise<Posted> {
    const newText = sayable(text);
    const found = await this.holdOwn(caller, channel, ts, CannotUpdateMessage);
    const message = await this.repository.update(workspaceOf(caller), channel, found.ts, newText);
    if (!message) throw new MessageNotFound();
    return { channel, message };
  }

  /**
   * Deletes a message of the caller's own; of one with replies the place stays.
   * @throws AccountInactive, ChannelNotFound, NotInChannel, IsArchived, MessageNotFound, CannotDeleteMessage
   */
  @Transactional()
  async delete(caller: Caller, { channel, ts }: NamedMessage): Promise<{ channel: string; ts: string }> {
    const found = await this.holdOwn(caller, channel, ts, CannotDeleteMessage);
    await this.repository.remove(workspaceOf(caller), channel, found);
    return { channel, ts };
  }

  private async holdOwn(caller: Caller, channel: string, ts: string, Refusal: new () => DomainError): Promise<Message> {
    const workspaceId = workspaceOf(caller);
    const { access, message } = await this.repository.hold(workspaceId, channel, caller.userId, microsOf(ts));
    refuseUnlessMember(access);
    if (!message) throw new MessageNotFound();
    ownWorkspace(workspaceId, [message]);
    if (message.user_id !== caller.userId || message.app_id !== caller.clientId) throw new Refusal();
    return message;
  }

  /** A channel is named by its id, or by `#` and its name. */
  private channelOf(workspaceId: string, named: string): string | Promise<string> {
    return named.startsWith('#') ? this.channelNamed(workspaceId, named.slice(1)) : named;
  }

  @ReadOnly()
  private async channelNamed(workspaceId: string, name: string): Promise<string> {
    const id = await this.repository.channelNamed(workspaceId, name);
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

function newMessage(workspaceId: string, ts: string, { userId, appId }: Author, { text, threadTs }: Draft): Message {
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
