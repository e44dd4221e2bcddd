import { Injectable } from '@nestjs/common';
import { ReadOnly } from '../../platform/database';
import { type Caller, invalid, keysOf, type Page, pageFrom, workspaceOf } from '../../policy';
import { ConversationsRepository, type Span } from './conversations.repository';
import { type HistoryArguments, type ListChannels, channelTypes } from './dto/conversations.dto';
import type { Channel } from './entities/channel.entity';
import type { Message } from './entities/message.entity';
import { refuseUnlessReader } from './membership';
import { ownWorkspace } from './own-workspace';
import { microsOf } from './timestamp';

/** Later than any message. */
const endOfTime = '9999999999999999';
const micros = /^\d{1,16}$/;

/** What a workspace talks about, and where. */
@Injectable()
export class ConversationsService {
  constructor(private readonly repository: ConversationsRepository) {}

  /** The channels of the caller's workspace that the caller may see, by id. @throws PolicyRefusal 400 for a wrong cursor or type */
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
    const rows = await this.repository.list(workspaceId, caller.userId, filter, afterId, limit);
    return pageFrom(ownWorkspace(workspaceId, rows), limit, ({ id }) => [id]);
  }

  /**
   * The messages of a channel, newest first, without the replies in threads.
   * @throws ChannelNotFound, NotInChannel; PolicyRefusal 400 for a wrong cursor
   */
  @ReadOnly()
  async history(caller: Caller, request: HistoryArguments): Promise<Page<Message>> {
    const workspaceId = workspaceOf(caller);
    const span = spanOf(request);
    const [access, rows] = await Promise.all([
      this.repository.access(workspaceId, request.channel, caller.userId),
      this.repository.history(workspaceId, request.channel, span, request.limit),
    ]);
    refuseUnlessReader(access);
    return pageFrom(ownWorkspace(workspaceId, rows), request.limit, ({ ts }) => [ts]);
  }
}

/** The sort keys that a cursor holds; none for the first page, which the empty text is, too. */
export function cursorKeys(cursor: string | undefined): string[] {
  return cursor === undefined || cursor === '' ? [] : keysOf(cursor, 1);
}

/** The times between which the messages lie. A cursor goes on behind the last one of its page. */
function spanOf({ oldest, latest, inclusive, cursor }: HistoryArguments): Span {
  const widened = inclusive ? 1n : 0n;
  const after = String(BigInt(microsOf(oldest)) - widened);
  const [seen] = cursorKeys(cursor);
  if (seen !== undefined) return { after, before: timeIn(seen) };
  return { after, before: latest === undefined ? endOfTime : String(BigInt(microsOf(latest)) + widened) };
}

function timeIn(key: string): string {
  // A cursor is the client's to invent: a text here would reach the database.
  if (!micros.test(key)) throw invalid([{ path: '/cursor', message: 'is none that a list gave' }]);
  return key;
}
