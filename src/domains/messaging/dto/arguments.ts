import { ApiProperty } from '@nestjs/swagger';

/** The argument of a method that takes none; the token may stand beside it. */
export class NoArguments {}

/** An argument of Slack's that is taken, and has no effect: what it asks for there is nothing here. */
export const hint = {
  required: false,
  description: 'Taken for the sake of clients of Slack; without effect here',
} as const;

/** How a list is asked for. */
export class PageArguments {
  @ApiProperty({
    type: 'integer',
    minimum: 1,
    maximum: 1_000,
    default: 100,
    required: false,
    description: 'Items a page',
  })
  readonly limit: number = 100;

  @ApiProperty({
    type: String,
    maxLength: 512,
    required: false,
    description: 'The `next_cursor` of the page before; the empty text is the first page',
  })
  readonly cursor?: string;
}

export const channelId = {
  type: String,
  minLength: 1,
  maxLength: 64,
  example: 'C0DEMOGENERAL',
  description: 'Its id',
} as const;
