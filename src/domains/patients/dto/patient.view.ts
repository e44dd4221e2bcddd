import { ApiProperty } from '@nestjs/swagger';

/** The nine fields of a patient that may leave. */
export class PatientView {
  @ApiProperty({ type: String, example: 'pat_01jz0000000000000000000001' })
  readonly id!: string;

  @ApiProperty({ type: String, example: 'Ada' })
  readonly firstName!: string;

  @ApiProperty({ type: String, example: 'O’Brien' })
  readonly lastName!: string;

  @ApiProperty({ type: String, format: 'date', example: '1985-03-09' })
  readonly dateOfBirth!: string;

  @ApiProperty({ type: String, nullable: true, example: '+15550100001' })
  readonly phone!: string | null;

  @ApiProperty({ type: String, nullable: true, example: 'ada@example.com' })
  readonly email!: string | null;

  @ApiProperty({ type: String, nullable: true, example: 'Acme Vision' })
  readonly insuranceProvider!: string | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: '2026-12-01T15:00:00Z' })
  readonly nextAppointment!: string | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  readonly lastVisit!: string | null;
}
