import { ApiProperty } from '@nestjs/swagger';
import type { Page } from '../../../policy';
import type { Channel } from '../entities/channel.entity';
import type { Message } from '../entities/message.entity';
import { momentPattern } from '../timestamp';
import { PagedOk } from './answers';
import { channelId, PageArguments } from './arguments';
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
