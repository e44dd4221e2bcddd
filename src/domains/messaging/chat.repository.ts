import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../platform/database';
import * as statements from './chat.statements';
import type { ChannelAccess } from './entities/channel.entity';
import type { Message } from './entities/message.entity';

/** Who posts, and through which app. */
export interface Author {
  readonly userId: string;
  readonly appId: string;
}

/** What is to be posted. */
export interface Draft {
  readonly text: string;
  /** The time of the message that it replies to. */
  readonly threadTs: string | undefined;
}

/** A channel that is held until the transaction's end, and a message in it. */
export interface Held {
  /** `undefined` where the workspace has no such channel. */
  readonly access: ChannelAccess | undefined;
  readonly message: Message | undefined;
}

@Injectable()
export class ChatRepository {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** Posts, and commits: the message's time, or `undefined` where something stood in its way. */
  async post(
    workspaceId: string,
    channelId: string,
    { userId, appId }: Author,
    { text, threadTs }: Draft,
  ): Promise<string | undefined> {
    const values = [workspaceId, channelId, userId, appId, text];
    const channel = `${workspaceId}/${channelId}`;
    const [posted] = await (threadTs === undefined
      ? this.unitOfWork.commitJointly(statements.post, values, channel)
      : this.unitOfWork.commitJointly(statements.reply, [...values, threadTs], channel));
    return posted?.ts;
  }

  /** What the user may do in a channel, and in a thread where one is named; `undefined` where the workspace has no such channel. */
  async mayPost(
    workspaceId: string,
    channelId: string,
    userId: string,
    threadTs: string | undefined,
  ): Promise<statements.PostingAccess | undefined> {
    const values = [workspaceId, channelId, userId, threadTs ?? null];
    const [access] = await this.unitOfWork.query(statements.mayPost, values);
    return access;
  }

  async channelNamed(workspaceId: string, name: string): Promise<string | undefined> {
    const [channel] = await this.unitOfWork.query(statements.channelNamed, [workspaceId, name]);
    return channel?.id;
  }

  /** Holds a channel, so that nobody posts to it before the commit, and reads a message as it then is. */
  async hold(workspaceId: string, channelId: string, userId: string, ts: string): Promise<Held> {
    const [[access], [message]] = await Promise.all([
      this.unitOfWork.query(statements.hold, [workspaceId, channelId, userId]),
      this.unitOfWork.query(statements.message, [workspaceId, channelId, ts]),
    ]);
    return { access, message };
  }

  /** The message with its new text; `undefined` where it is no more. */
  async update(workspaceId: string, channelId: string, ts: string, text: string): Promise<Message | undefined> {
    const [message] = await this.unitOfWork.query(statements.update, [workspaceId, channelId, ts, text]);
    return message;
  }

  /** Takes a message away, or its text alone where replies would be left without their thread. */
  async remove(workspaceId: string, channelId: string, { ts, reply_count, thread_ts }: Message): Promise<void> {
    const place = [workspaceId, channelId, ts];
    await this.unitOfWork.query(reply_count > 0 ? statements.bury : statements.remove, place);
    if (thread_ts !== null) await this.unitOfWork.query(statements.recount, [workspaceId, channelId, thread_ts]);
  }
}
