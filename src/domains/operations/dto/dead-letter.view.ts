import { ApiProperty } from '@nestjs/swagger';
import { PageQuery } from '../../../policy';

/** The query of `GET /dead-letters`. */
export class ListDeadLetters extends PageQuery {
  @ApiProperty({
    type: String,
    maxLength: 64,
    required: false,
    example: 'crm',
    description: 'Only those of one consumer',
  })
  readonly consumer?: string;
}

/** A delivery that is not attempted any more. */
export class DeadLetterView {
  @ApiProperty({ type: String, example: 'evt_01jz0000000000000000000001.crm' })
  readonly id!: string;

  @ApiProperty({ type: String, example: 'evt_01jz0000000000000000000001' })
  readonly eventId!: string;

  @ApiProperty({ type: String, example: 'appointment.booked' })
  readonly eventType!: string;

  @ApiProperty({ type: String, example: 'crm' })
  readonly consumer!: string;

  @ApiProperty({ type: String, example: 'practice_p001' })
  readonly tenantId!: string;

  @ApiProperty({ type: String, example: '6f3c2a1e-7a1d-4a7e-9a53-0d4f8f2f6a10' })
  readonly correlationId!: string;

  @ApiProperty({ type: 'integer', minimum: 1, example: 296 })
  readonly attempts!: number;

  @ApiProperty({ type: String, example: 'status_400', description: 'How the last attempt failed' })
  readonly lastErrorClass!: string;

  @ApiProperty({ type: String, format: 'date-time', example: '2026-04-24T10:00:00.000Z' })
  readonly occurredAt!: string;

  @ApiProperty({ type: String, format: 'date-time', example: '2026-04-25T10:04:12.000Z' })
  readonly diedAt!: string;
}

/** A dead letter on its way again. */
export class RetriedView {
  @ApiProperty({ type: String, example: 'evt_01jz0000000000000000000001.crm' })
  readonly id!: string;

  @ApiProperty({ type: String, enum: ['pending'], example: 'pending' })
  readonly status!: string;
}
