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

/** A channel that is held until the transaction's end, and a message in it. */
export interface Held {
  /** `undefined` where the workspace has no such channel. */
  readonly access: ChannelAccess | undefined;
  readonly message: Message | undefined;
}

@Injectable()
export class ChatRepository {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** Posts, and commits in the same message; `undefined` where the workspace has no such channel. */
  async postAndCommit(
    workspaceId: string,
    channelId: string,
    { userId, appId }: Author,
    text: string,
    threadTs: string | undefined,
  ): Promise<statements.Posting | undefined> {
    const values = [workspaceId, channelId, userId, appId, text, threadTs ?? null];
    const [posting] = await this.unitOfWork.queryAndCommit(statements.post, values);
    return posting;
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
