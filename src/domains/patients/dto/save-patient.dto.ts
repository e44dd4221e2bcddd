import { ApiProperty } from '@nestjs/swagger';
import { FreeText } from '../../../policy';
import { lineOfText, linesOfText, phoneNumber, yearOfBirth } from './texts';

const optional = { type: String, required: false, nullable: true } as const;
const name = { type: String, minLength: 1, maxLength: 100, pattern: lineOfText } as const;
const birth = {
  type: String,
  format: 'date',
  pattern: yearOfBirth,
  example: '1985-03-09',
  description: 'Not in the future',
} as const;

/** What a patient may have besides a name and a date of birth. */
class PatientExtras {
  @ApiProperty({ ...optional, maxLength: 40, pattern: phoneNumber, example: '+1 (555) 010-0001' })
  readonly phone?: string | null;

  @ApiProperty({ ...optional, format: 'email', maxLength: 254, example: 'ada@example.com' })
  readonly email?: string | null;

  @FreeText()
  @ApiProperty({ ...optional, maxLength: 200, pattern: lineOfText, example: 'Acme Vision' })
  readonly insuranceProvider?: string | null;

  @ApiProperty({
    ...optional,
    writeOnly: true,
    pattern: '^(?:[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{9})$',
    example: '000-12-3456',
    description: 'Kept encrypted; no answer has it',
  })
  readonly ssn?: string | null;

  @FreeText()
  @ApiProperty({
    ...optional,
    writeOnly: true,
    maxLength: 10_000,
    pattern: linesOfText,
    example: 'Prefers mornings',
    description: 'Internal; kept encrypted; no answer has it',
  })
  readonly notes?: string | null;
}

/** The body of `POST /patients`. */
export class CreatePatient extends PatientExtras {
  @FreeText()
  @ApiProperty({ ...name, example: 'Ada' })
  readonly firstName!: string;

  @FreeText()
  @ApiProperty({ ...name, example: 'O’Brien' })
  readonly lastName!: string;

  @ApiProperty(birth)
  readonly dateOfBirth!: string;
}

/** The body of `PATCH /patients/{id}`, a JSON merge patch (RFC 7396): what is not named stays, null clears. */
export class UpdatePatient extends PatientExtras {
  @FreeText()
  @ApiProperty({ ...name, required: false, example: 'Ada' })
  readonly firstName?: string;

  @FreeText()
  @ApiProperty({ ...name, required: false, example: 'O’Brien' })
  readonly lastName?: string;

  @ApiProperty({ ...birth, required: false })
  readonly dateOfBirth?: string;
}
