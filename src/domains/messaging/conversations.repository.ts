import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../platform/database';
import * as statements from './conversations.statements';
import type { Channel, ChannelAccess } from './entities/channel.entity';
import type { Message } from './entities/message.entity';

/** Which channels a list shows. */
export interface ChannelFilter {
  readonly showsPublic: boolean;
  readonly showsPrivate: boolean;
  readonly showsArchived: boolean;
}

/** Which messages a page shows, by their times in microseconds; both ends excluded. */
export interface Span {
  readonly after: string;
  readonly before: string;
}

@Injectable()
export class ConversationsRepository {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** By id; one row more than `limit` where there are more. A private channel is shown to its members alone. */
  list(
    workspaceId: string,
    userId: string,
    { showsPublic, showsPrivate, showsArchived }: ChannelFilter,
    afterId: string,
    limit: number,
  ): Promise<Channel[]> {
    const kinds = [...(showsPublic ? [false] : []), ...(showsPrivate ? [true] : [])];
    return this.unitOfWork.query(statements.list, [workspaceId, userId, afterId, showsArchived, kinds, limit + 1]);
  }

  /** What the user may do in a channel; `undefined` where the workspace has none of that id. */
  async access(workspaceId: string, channelId: string, userId: string): Promise<ChannelAccess | undefined> {
    const [access] = await this.unitOfWork.query(statements.access, [workspaceId, channelId, userId]);
    return access;
  }

  /** What stands in the channel itself, newest first; one row more than `limit` where there are more. */
  history(workspaceId: string, channelId: string, { after, before }: Span, limit: number): Promise<Message[]> {
    return this.unitOfWork.query(statements.history, [workspaceId, channelId, after, before, limit + 1]);
  }
}
