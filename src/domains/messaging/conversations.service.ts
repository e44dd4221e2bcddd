import { Injectable } from '@nestjs/common';
import { ReadOnly, Transactional } from '../../platform/database';
import { newId } from '../../platform/identifiers';
import { type Caller, cursorAfter, invalid, type Page, pageFrom, workspaceOf } from '../../policy';
import { Accounts } from './accounts';
import { cursorKeys } from './cursor';
import { ConversationsRepository, type Messages, type Span } from './conversations.repository';
import {
  channelTypes,
  type CreateChannel,
  type HistoryArguments,
  type ListChannels,
  type MembersArguments,
  type NamedChannel,
  type RepliesArguments,
} from './dto/conversations.dto';
import type { Channel } from './entities/channel.entity';
import type { Message } from './entities/message.entity';
import { refuseUnlessReader, refuseUnlessSeen } from './membership';
import {
  AccountInactive,
  ChannelNotFound,
  InvalidCursor,
  IsArchived,
  NameTaken,
  ThreadNotFound,
} from './messaging.errors';
import { ownWorkspace } from './own-workspace';
import { microsOf } from './timestamp';

/** Later than any message. */
const endOfTime = '9999999999999999';
const micros = /^\d{1,16}$/;

/** What a workspace talks about, and where. */
@Injectable()
export class ConversationsService {
  constructor(
    private readonly repository: ConversationsRepository,
    private readonly accounts: Accounts,
  ) {}

  /**
   * The channels of the caller's workspace that the caller may see, by id.
   * @throws AccountInactive; PolicyRefusal 400 for a wrong cursor or type
   */
  @ReadOnly()
  async list(caller: Caller, { types, exclude_archived, limit, cursor }: ListChannels): Promise<Page<Channel>> {
    const kinds = types.split(',').map((kind) => kind.trim());
    if (kinds.some((kind) => !channelTypes.includes(kind))) {
      throw invalid([{ path: '/types', message: `must be of ${channelTypes.join(', ')}` }]);
    }
    const filter = {
      showsPublic: kinds.includes('public_channel'),
      showsPrivate: kinds.includes('private_channel'),
      showsArchived: !exclude_archived,
    };
    const [afterId = ''] = cursorKeys(cursor);
    const workspaceId = workspaceOf(caller);
    const [rows] = await Promise.all([
      this.repository.list(workspaceId, caller.userId, filter, afterId, limit),
      this.accounts.refuseInactive(workspaceId, caller.userId),
    ]);
    return pageFrom(ownWorkspace(workspaceId, rows), limit, ({ id }) => [id]);
  }

  /**
   * The messages of a channel, newest first, without the replies in threads.
   * @throws AccountInactive, ChannelNotFound, NotInChannel; PolicyRefusal 400 for a wrong cursor
   */
  @ReadOnly()
  async history(caller: Caller, request: HistoryArguments): Promise<Page<Message>> {
    const workspaceId = workspaceOf(caller);
    const span = spanBackward(request);
    const [access, found] = await Promise.all([
      this.repository.access(workspaceId, request.channel, caller.userId),
      this.repository.history(workspaceId, request.channel, span, request.limit),
    ]);
    refuseUnlessReader(access);
    return pageOfMessages(workspaceId, found);
  }

  /**
   * A thread's first message and its replies, oldest first.
   * @throws AccountInactive, ChannelNotFound, NotInChannel, ThreadNotFound; PolicyRefusal 400 for a wrong cursor
   */
  @ReadOnly()
  async replies(caller: Caller, request: RepliesArguments): Promise<Page<Message>> {
    const workspaceId = workspaceOf(caller);
    const { channel, limit } = request;
    const thread = microsOf(request.ts);
    const [access, exists, found] = await Promise.all([
      this.repository.access(workspaceId, channel, caller.userId),
      this.repository.hasThread(workspaceId, channel, thread),
      this.repository.replies(workspaceId, channel, thread, spanForward(request), limit),
    ]);
    refuseUnlessReader(access);
    if (!exists) throw new ThreadNotFound();
    return pageOfMessages(workspaceId, found);
  }

  /**
   * The ids of a channel's members; of a private one, for its members alone.
   * @throws AccountInactive, ChannelNotFound; PolicyRefusal 400 for a wrong cursor
   */
  @ReadOnly()
  async members(caller: Caller, { channel, cursor, limit }: MembersArguments): Promise<Page<string>> {
    const workspaceId = workspaceOf(caller);
    const [afterId = ''] = cursorKeys(cursor);
    const [access, rows] = await Promise.all([
      this.repository.access(workspaceId, channel, caller.userId),
      this.repository.members(workspaceId, channel, afterId, limit),
    ]);
    refuseUnlessSeen(access);
    const { data, nextCursor } = pageFrom(ownWorkspace(workspaceId, rows), limit, ({ user_id }) => [user_id]);
    return { data: data.map(({ user_id }) => user_id), nextCursor };
  }

  /** Makes a channel whose first member is the caller. @throws NameTaken, AccountInactive */
  @Transactional()
  async create(caller: Caller, { name, is_private }: CreateChannel): Promise<Channel> {
    const workspace_id = workspaceOf(caller);
    const made = { id: newChannelId(), creator: caller.userId, name, is_private };
    const { has_user, created } = await this.repository.create(workspace_id, made);
    if (!has_user) throw new AccountInactive();
    if (created === null) throw new NameTaken();
    return { ...made, workspace_id, created, is_archived: false, is_general: false, is_member: true, num_members: 1 };
  }

  /** Makes the caller a member of a public channel; who is one stays one. @throws ChannelNotFound, IsArchived, AccountInactive */
  @Transactional()
  async join(caller: Caller, { channel }: NamedChannel): Promise<Joined> {
    const workspaceId = workspaceOf(caller);
    const joining = await this.repository.join(workspaceId, channel, caller.userId);
    if (!joining) throw new ChannelNotFound();
    const { joined, has_user, ...found } = joining;
    ownWorkspace(workspaceId, [found]);
    if (found.is_private && !found.is_member) throw new ChannelNotFound();
    if (found.is_archived) throw new IsArchived();
    if (!has_user) throw new AccountInactive();
    const num_members = found.num_members + (joined ? 1 : 0);
    return { channel: { ...found, is_member: true, num_members }, wasMember: !joined };
  }
}

/** A channel, and whether there was nothing to do. */
export interface Joined {
  readonly channel: Channel;
  readonly wasMember: boolean;
}

function pageOfMessages(workspaceId: string, { messages, areThereMore }: Messages): Page<Message> {
  const last = ownWorkspace(workspaceId, messages).at(-1);
  return { data: messages, nextCursor: areThereMore && last ? cursorAfter(last.ts) : null };
}

/** Sortable by time and unguessable, in Slack's letters: clients take the first one for the kind. */
function newChannelId(): string {
  return `C${newId('c').slice('c_'.length).toUpperCase()}`;
}

/** The times between which the messages lie. */
function boundsOf({ oldest, latest, inclusive }: HistoryArguments): Span {
  const widened = inclusive ? 1n : 0n;
  return {
    after: String(BigInt(microsOf(oldest)) - widened),
    before: latest === undefined ? endOfTime : String(BigInt(microsOf(latest)) + widened),
  };
}

/** Of a list whose newest comes first: a cursor goes on before the last one of its page. */
function spanBackward(request: HistoryArguments): Span {
  const [seen] = cursorKeys(request.cursor);
  return seen === undefined ? boundsOf(request) : { ...boundsOf(request), before: timeIn(seen) };
}

/** Of a list whose oldest comes first. */
function spanForward(request: HistoryArguments): Span {
  const [seen] = cursorKeys(request.cursor);
  return seen === undefined ? boundsOf(request) : { ...boundsOf(request), after: timeIn(seen) };
}

function timeIn(key: string): string {
  // A cursor is the client's to invent: a text here would reach the database.
  if (!micros.test(key)) throw new InvalidCursor();
  return key;
}
