import { ApiProperty } from '@nestjs/swagger';
import {
  appointmentStatuses,
  type AppointmentStatus,
  appointmentTypes,
  type AppointmentType,
} from '../entities/appointment.entity';

/** What booking answers. */
export class AppointmentView {
  @ApiProperty({ type: String, example: 'appt_01jz0000000000000000000001' })
  readonly appointmentId!: string;

  @ApiProperty({ type: String, enum: appointmentStatuses, example: 'confirmed' })
  readonly status!: AppointmentStatus;

  @ApiProperty({ type: String, format: 'date', example: '2026-04-24' })
  readonly date!: string;

  @ApiProperty({ type: String, pattern: '^[0-2][0-9]:[0-5][0-9]$', example: '10:00' })
  readonly time!: string;

  @ApiProperty({ type: String, enum: appointmentTypes, example: 'comprehensive_exam' })
  readonly type!: AppointmentType;
}

/** What reading an appointment answers. */
export class AppointmentDetails extends AppointmentView {
  @ApiProperty({ type: String, example: 'pat_01jz0000000000000000000001' })
  readonly patientId!: string;

  @ApiProperty({ type: String, example: 'slot_01jz0000000000000000000001' })
  readonly slotId!: string;
}
