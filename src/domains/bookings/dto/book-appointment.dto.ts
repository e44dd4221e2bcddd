import { ApiProperty } from '@nestjs/swagger';
import { appointmentTypes, type AppointmentType } from '../entities/appointment.entity';

/** The body of `POST /appointments`. */
export class BookAppointment {
  @ApiProperty({ type: String, pattern: '^pat_[0-9a-z]{1,60}$', example: 'pat_01jz0000000000000000000001' })
  readonly patientId!: string;

  @ApiProperty({ type: String, pattern: '^slot_[0-9a-z]{1,60}$', example: 'slot_01jz0000000000000000000001' })
  readonly slotId!: string;

  @ApiProperty({ type: String, enum: appointmentTypes, example: 'comprehensive_exam' })
  readonly type!: AppointmentType;
}

/** The body of `POST /appointments/{id}/reschedule`. */
export class RescheduleAppointment {
  @ApiProperty({ type: String, pattern: '^slot_[0-9a-z]{1,60}$', example: 'slot_01jz0000000000000000000002' })
  readonly slotId!: string;
}
