import { ApiProperty } from '@nestjs/swagger';

/** What every method answers when it succeeds. */
export class Ok {
  @ApiProperty({ type: Boolean, enum: [true], example: true })
  readonly ok!: boolean;
}

export class NextCursor {
  @ApiProperty({ type: String, description: 'Empty on the last page', example: '' })
  readonly next_cursor!: string;
}

/** What a list answers. */
export class PagedOk extends Ok {
  @ApiProperty({ type: () => NextCursor })
  readonly response_metadata!: NextCursor;
}

/** Puts a method's result into the envelope. */
export async function ok<Result extends object>(result: Promise<Result>): Promise<Result & Ok> {
  return { ok: true, ...(await result) };
}
