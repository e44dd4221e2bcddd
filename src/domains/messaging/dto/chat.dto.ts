import { ApiProperty } from '@nestjs/swagger';
import { FreeText } from '../../../policy';
import { tsPattern } from '../timestamp';
import { Ok } from './answers';
import { channelId, hint } from './arguments';
import { MessageView } from './message.view';

/** The arguments of `chat.delete`. */
export class NamedMessage {
  @ApiProperty(channelId)
  readonly channel!: string;

  @ApiProperty({ type: String, pattern: tsPattern, description: 'The message', example: '1732497302.000100' })
  readonly ts!: string;
}

/** The arguments of `chat.update`. */
export class UpdateMessage extends NamedMessage {
  @FreeText()
  @ApiProperty({ type: String, required: false, example: 'Good evening', description: '1 to 40,000 characters' })
  readonly text?: string;
}

/** The arguments of `chat.postMessage`. */
export class PostMessage {
  @ApiProperty({
    type: String,
    minLength: 1,
    maxLength: 100,
    example: 'C0DEMOGENERAL',
    description: 'Its id, or `#` and its name',
  })
  readonly channel!: string;

  @FreeText()
  @ApiProperty({ type: String, required: false, example: 'Good morning', description: '1 to 40,000 characters' })
  readonly text?: string;

  @ApiProperty({
    type: String,
    required: false,
    pattern: tsPattern,
    description: 'The message to reply to, `seconds.micros`',
  })
  readonly thread_ts?: string;

  @ApiProperty({ ...hint, type: Boolean })
  readonly as_user?: boolean;

  @ApiProperty({ ...hint, type: Boolean })
  readonly mrkdwn?: boolean;

  @ApiProperty({ ...hint, type: Boolean })
  readonly unfurl_links?: boolean;

  @ApiProperty({ ...hint, type: Boolean })
  readonly unfurl_media?: boolean;

  @ApiProperty({ ...hint, type: Boolean })
  readonly link_names?: boolean;

  @ApiProperty({ ...hint, type: String, enum: ['full', 'none'] })
  readonly parse?: string;
}

export class PostedView extends Ok {
  @ApiProperty({ type: String, example: 'C0DEMOGENERAL' })
  readonly channel!: string;

  @ApiProperty({ type: String, example: '1732497302.000100' })
  readonly ts!: string;

  @ApiProperty({ type: () => MessageView })
  readonly message!: MessageView;
}

export class UpdatedView extends PostedView {
  @ApiProperty({ type: String, example: 'Good evening' })
  readonly text!: string;
}

export class DeletedView extends Ok {
  @ApiProperty({ type: String, example: 'C0DEMOGENERAL' })
  readonly channel!: string;

  @ApiProperty({ type: String, example: '1732497302.000100' })
  readonly ts!: string;
}
