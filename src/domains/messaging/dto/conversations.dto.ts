import { ApiProperty } from '@nestjs/swagger';
import type { Page } from '../../../policy';
import type { Joined } from '../conversations.service';
import type { Channel } from '../entities/channel.entity';
import type { Message } from '../entities/message.entity';
import { momentPattern, tsPattern } from '../timestamp';
import { Ok, PagedOk } from './answers';
import { channelId, hint, PageArguments } from './arguments';
import { ChannelView, channelView } from './channel.view';
import { MessageView, messageView } from './message.view';

export const channelTypes: readonly string[] = ['public_channel', 'private_channel', 'mpim', 'im'];

/** The arguments of `conversations.list`. */
export class ListChannels extends PageArguments {
  @ApiProperty({
    type: String,
    required: false,
    maxLength: 100,
    default: 'public_channel',
    description:
      'A list with commas of `public_channel`, `private_channel`, `mpim` and `im`; there are none of the latter two',
  })
  readonly types: string = 'public_channel';

  @ApiProperty({ type: Boolean, required: false, default: false })
  readonly exclude_archived: boolean = false;
}

/** The arguments of `conversations.history`. */
export class HistoryArguments extends PageArguments {
  @ApiProperty(channelId)
  readonly channel!: string;

  @ApiProperty({
    type: String,
    required: false,
    pattern: momentPattern,
    default: '0',
    description: 'Messages after it',
  })
  readonly oldest: string = '0';

  @ApiProperty({ type: String, required: false, pattern: momentPattern, description: 'Messages before it' })
  readonly latest?: string;

  @ApiProperty({ type: Boolean, required: false, default: false, description: 'Those at `oldest` and `latest`, too' })
  readonly inclusive: boolean = false;

  @ApiProperty({ ...hint, type: Boolean })
  readonly include_all_metadata?: boolean;
}

/** The arguments of `conversations.replies`. */
export class RepliesArguments extends HistoryArguments {
  @ApiProperty({ type: String, pattern: tsPattern, description: 'The first message', example: '1732497302.000100' })
  readonly ts!: string;
}

/** The arguments of `conversations.members`. */
export class MembersArguments extends PageArguments {
  @ApiProperty(channelId)
  readonly channel!: string;
}

/** The arguments of `conversations.join`. */
export class NamedChannel {
  @ApiProperty(channelId)
  readonly channel!: string;
}

/** The arguments of `conversations.create`. */
export class CreateChannel {
  @ApiProperty({
    type: String,
    pattern: '^[\\p{Ll}\\p{Lo}\\p{N}_-]{1,80}$',
    example: 'release-notes',
    description: 'Letters without capitals, digits, `-` and `_`',
  })
  readonly name!: string;

  @ApiProperty({ type: Boolean, required: false, default: false })
  readonly is_private: boolean = false;
}

export class MembersView extends PagedOk {
  @ApiProperty({ type: [String], example: ['U0DEMOADA', 'U0DEMOBOT'] })
  readonly members!: readonly string[];
}

export class OneChannelView extends Ok {
  @ApiProperty({ type: () => ChannelView })
  readonly channel!: ChannelView;
}

export class JoinedView extends OneChannelView {
  @ApiProperty({ type: String, required: false, enum: ['already_in_channel'], description: 'Nothing was to be done' })
  readonly warning?: string;
}

export class ChannelsView extends PagedOk {
  @ApiProperty({ type: () => ChannelView, isArray: true })
  readonly channels!: ChannelView[];
}

export class HistoryView extends PagedOk {
  @ApiProperty({ type: () => MessageView, isArray: true })
  readonly messages!: MessageView[];

  @ApiProperty({ type: Boolean, example: false })
  readonly has_more!: boolean;
}

const next = (cursor: string | null) => ({ response_metadata: { next_cursor: cursor ?? '' } });

export function channelsView({ data, nextCursor }: Page<Channel>): Omit<ChannelsView, 'ok'> {
  return { channels: data.map(channelView), ...next(nextCursor) };
}

export function historyView({ data, nextCursor }: Page<Message>): Omit<HistoryView, 'ok'> {
  return { messages: data.map(messageView), has_more: nextCursor !== null, ...next(nextCursor) };
}

export function membersView({ data, nextCursor }: Page<string>): Omit<MembersView, 'ok'> {
  return { members: data, ...next(nextCursor) };
}

export function oneChannelView(channel: Channel): Omit<OneChannelView, 'ok'> {
  return { channel: channelView(channel) };
}

export function joinedView({ channel, wasMember }: Joined): Omit<JoinedView, 'ok'> {
  return { ...oneChannelView(channel), ...(wasMember && { warning: 'already_in_channel' }) };
}
