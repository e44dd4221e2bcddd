import { ApiProperty } from '@nestjs/swagger';
import type { Message } from '../entities/message.entity';
import { tsOf } from '../timestamp';

const optionalTs = { type: String, required: false, example: '1732497302.000100' } as const;

export class EditedView {
  @ApiProperty({ type: String, example: 'U0DEMOBOT' })
  readonly user!: string;

  @ApiProperty({ type: String, example: '1732497360.000200' })
  readonly ts!: string;
}

/** A message as Slack shows one. */
export class MessageView {
  @ApiProperty({ type: String, enum: ['message'], example: 'message' })
  readonly type!: string;

  @ApiProperty({ type: String, required: false, enum: ['tombstone'], description: 'Deleted, and kept for its replies' })
  readonly subtype?: string;

  @ApiProperty({ type: String, example: 'U0DEMOBOT' })
  readonly user!: string;

  @ApiProperty({ type: String, description: 'The app that posted it', example: 'app_standup' })
  readonly app_id!: string;

  @ApiProperty({ type: String, example: 'T0DEMO' })
  readonly team!: string;

  @ApiProperty({ type: String, example: 'Good morning' })
  readonly text!: string;

  @ApiProperty({ type: String, description: 'Its name in the channel', example: '1732497302.000100' })
  readonly ts!: string;

  @ApiProperty({ ...optionalTs, description: 'The first message of its thread' })
  readonly thread_ts?: string;

  @ApiProperty({ type: 'integer', required: false, description: 'On the first message of a thread', example: 2 })
  readonly reply_count?: number;

  @ApiProperty(optionalTs)
  readonly latest_reply?: string;

  @ApiProperty({ type: () => EditedView, required: false })
  readonly edited?: EditedView;
}

/** The view of a stored message. */
export function messageView(message: Message): MessageView {
  const { workspace_id, user_id, app_id, text, reply_count, latest_reply, edited_ts, is_tombstone } = message;
  const ts = tsOf(message.ts);
  const parent = message.thread_ts ?? (reply_count > 0 ? message.ts : null);
  return {
    type: 'message',
    ...(is_tombstone && { subtype: 'tombstone' }),
    user: user_id,
    app_id,
    team: workspace_id,
    text,
    ts,
    ...(parent !== null && { thread_ts: tsOf(parent) }),
    ...(reply_count > 0 && { reply_count }),
    ...(latest_reply !== null && { latest_reply: tsOf(latest_reply) }),
    ...(edited_ts !== null && { edited: { user: user_id, ts: tsOf(edited_ts) } }),
  };
}
