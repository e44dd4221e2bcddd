import { ApiProperty } from '@nestjs/swagger';
import type { Channel } from '../entities/channel.entity';

const flag = { type: Boolean, example: false } as const;

/** A channel as Slack shows one. */
export class ChannelView {
  @ApiProperty({ type: String, example: 'C0DEMOGENERAL' })
  readonly id!: string;

  @ApiProperty({ type: String, example: 'general' })
  readonly name!: string;

  @ApiProperty({ type: String, example: 'general' })
  readonly name_normalized!: string;

  @ApiProperty({ type: Boolean, example: true })
  readonly is_channel!: boolean;

  @ApiProperty(flag)
  readonly is_group!: boolean;

  @ApiProperty(flag)
  readonly is_im!: boolean;

  @ApiProperty(flag)
  readonly is_mpim!: boolean;

  @ApiProperty(flag)
  readonly is_private!: boolean;

  @ApiProperty(flag)
  readonly is_archived!: boolean;

  @ApiProperty({ type: Boolean, example: true })
  readonly is_general!: boolean;

  @ApiProperty({ type: Boolean, description: 'Whether the bot is one of its members', example: true })
  readonly is_member!: boolean;

  @ApiProperty({ type: 'integer', description: 'Epoch seconds', example: 1_732_497_302 })
  readonly created!: number;

  @ApiProperty({ type: String, example: 'U0DEMOADA' })
  readonly creator!: string;

  @ApiProperty({ type: 'integer', example: 3 })
  readonly num_members!: number;

  @ApiProperty({ type: String, example: 'T0DEMO' })
  readonly context_team_id!: string;
}

/** The view of a stored channel. */
export function channelView({ workspace_id, ...channel }: Channel): ChannelView {
  return {
    ...channel,
    name_normalized: channel.name,
    is_channel: true,
    is_group: false,
    is_im: false,
    is_mpim: false,
    context_team_id: workspace_id,
  };
}
