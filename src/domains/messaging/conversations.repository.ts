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

/** As many messages as were asked for, or as there is room for. */
export interface Messages {
  readonly messages: readonly Message[];
  readonly areThereMore: boolean;
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

  /** What stands in the channel itself, newest first. */
  async history(workspaceId: string, channelId: string, { after, before }: Span, limit: number): Promise<Messages> {
    const values = [workspaceId, channelId, after, before, limit + 1];
    return messagesOf(await this.unitOfWork.query(statements.history, values), limit);
  }

  async hasThread(workspaceId: string, channelId: string, ts: string): Promise<boolean> {
    const [found] = await this.unitOfWork.query(statements.hasThread, [workspaceId, channelId, ts]);
    return found?.exists === true;
  }

  /** A thread's first message and its replies, oldest first. */
  async replies(
    workspaceId: string,
    channelId: string,
    ts: string,
    { after, before }: Span,
    limit: number,
  ): Promise<Messages> {
    const values = [workspaceId, channelId, after, before, limit + 1, ts];
    return messagesOf(await this.unitOfWork.query(statements.replies, values), limit);
  }

  /** The users of a channel, by id; one row more than `limit` where there are more. */
  members(workspaceId: string, channelId: string, afterId: string, limit: number) {
    return this.unitOfWork.query(statements.members, [workspaceId, channelId, afterId, limit + 1]);
  }

  async create(workspaceId: string, { id, creator, name, is_private }: NewChannel): Promise<statements.Creation> {
    const [creation] = await this.unitOfWork.query(statements.create, [workspaceId, id, creator, name, is_private]);
    if (!creation) throw new Error('The creation of a channel told nothing');
    return creation;
  }

  /** `undefined` where the workspace has no such channel. */
  async join(workspaceId: string, channelId: string, userId: string): Promise<statements.Joining | undefined> {
    const [joining] = await this.unitOfWork.query(statements.join, [workspaceId, channelId, userId]);
    return joining;
  }
}

export type NewChannel = Pick<Channel, 'id' | 'creator' | 'name' | 'is_private'>;

/** Of `limit + 1` rows those that stand on the page. */
function messagesOf(rows: readonly statements.Paged[], limit: number): Messages {
  const messages: Message[] = [];
  for (const row of rows) {
    if (messages.length === limit || !hasText(row)) break;
    messages.push(row);
  }
  return { messages, areThereMore: messages.length < rows.length };
}

function hasText(row: statements.Paged): row is Message {
  return row.text !== null;
}
