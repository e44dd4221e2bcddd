import { ApiProperty } from '@nestjs/swagger';
import { PageQuery } from '../../../policy';
import { slotStatuses, type SlotStatus } from '../entities/slot.entity';

/** A slot of the practice's calendar. */
export class SlotView {
  @ApiProperty({ type: String, example: 'slot_01jz0000000000000000000001' })
  readonly id!: string;

  @ApiProperty({ type: String, format: 'date', example: '2026-04-24' })
  readonly date!: string;

  @ApiProperty({ type: String, pattern: '^[0-2][0-9]:[0-5][0-9]$', example: '10:00' })
  readonly time!: string;

  @ApiProperty({ type: String, enum: slotStatuses, example: 'available' })
  readonly status!: SlotStatus;
}

/** The query of `GET /slots`. */
export class ListSlots extends PageQuery {
  @ApiProperty({ type: String, format: 'date', example: '2026-04-24', description: 'A day of the practice’s calendar' })
  readonly date!: string;

  @ApiProperty({ type: String, enum: slotStatuses, required: false, example: 'available' })
  readonly status?: SlotStatus;
}

/** The query of `GET /appointments`. */
export class ListAppointments extends PageQuery {
  @ApiProperty({ type: String, pattern: '^pat_[0-9a-z]{1,60}$', required: false, description: 'Only this patient’s' })
  readonly patientId?: string;
}
