import { ApiProperty } from '@nestjs/swagger';
import { type AuditDetail, type AuditOutcome, auditOutcomes } from '../../../platform/audit';
import { FreeText, PageQuery } from '../../../policy';

const absent = { type: String, nullable: true };
const name = { type: String, minLength: 1, maxLength: 256, required: false };

/** One entry of the practice's audit log. */
export class AuditEntryView {
  @ApiProperty({ type: String, example: 'aud_01jz0000000000000000000001' })
  readonly id!: string;

  @ApiProperty({
    type: 'integer',
    description: 'Its number in the practice’s chain, from 1 without a gap',
    example: 4711,
  })
  readonly seq!: number;

  @ApiProperty({ type: String, format: 'date-time', example: '2026-04-24T10:00:00.000Z' })
  readonly at!: string;

  @ApiProperty({ ...absent, description: 'The user, as the claim `sub` names them', example: 'user_ada' })
  readonly actor!: string | null;

  @ApiProperty({ ...absent, description: 'The app they used', example: 'app_frontdesk' })
  readonly clientId!: string | null;

  @ApiProperty({ ...absent, example: 'scheduling_agent' })
  readonly role!: string | null;

  @ApiProperty({ type: String, example: 'patient.read' })
  readonly action!: string;

  @ApiProperty({ type: String, enum: auditOutcomes, example: 'allowed' })
  readonly outcome!: AuditOutcome;

  @ApiProperty({ ...absent, description: 'Why not, or `replayed`', example: null })
  readonly code!: string | null;

  @ApiProperty({ ...absent, example: 'GET /patients/:id' })
  readonly route!: string | null;

  @ApiProperty({ type: String, isArray: true, example: ['pat_01jz0000000000000000000001'] })
  readonly subjects!: readonly string[];

  @ApiProperty({ ...absent, description: 'Whose the subject is, where it is another practice’s', example: null })
  readonly subjectPractice!: string | null;

  @ApiProperty({
    type: 'object',
    nullable: true,
    additionalProperties: true,
    description: 'Codes, counts, names of fields',
    example: null,
  })
  readonly detail!: AuditDetail | null;

  @ApiProperty({ ...absent, example: 'c0ffee-1' })
  readonly correlationId!: string | null;

  @ApiProperty({ ...absent, example: '0d5c0b52-7a1e-4c0b-9c4d-3f0a6f1f1f11' })
  readonly requestId!: string | null;

  @ApiProperty({ ...absent, example: '203.0.113.7' })
  readonly ip!: string | null;
}

/** The query of `GET /audit`. Names are free text: whoever chose an attack for a name must be found by it. */
export class SearchAudit extends PageQuery {
  @FreeText()
  @ApiProperty({ ...name, description: 'Only what this user did', example: 'user_ada' })
  readonly actor?: string;

  @ApiProperty({ ...name, pattern: '^[a-z_]+(\\.[a-z_]+)?$', example: 'patient.read' })
  readonly action?: string;

  @ApiProperty({ type: String, enum: auditOutcomes, required: false, example: 'refused' })
  readonly outcome?: AuditOutcome;

  @FreeText()
  @ApiProperty({
    ...name,
    description: 'Only what concerns this patient, appointment …',
    example: 'pat_01jz0000000000000000000001',
  })
  readonly subject?: string;

  @ApiProperty({
    type: String,
    format: 'date-time',
    required: false,
    description: 'From then on',
    example: '2026-04-01T00:00:00Z',
  })
  readonly from?: string;

  @ApiProperty({
    type: String,
    format: 'date-time',
    required: false,
    description: 'Before then',
    example: '2026-05-01T00:00:00Z',
  })
  readonly to?: string;
}
