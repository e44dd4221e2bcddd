import { ApiProperty } from '@nestjs/swagger';
import { FreeText, PageQuery } from '../../../policy';
import { lineOfText, partOfPhoneNumber, yearOfBirth } from './texts';

/** The query of `GET /patients`. What is given must all apply. */
export class ListPatients extends PageQuery {
  @FreeText()
  @ApiProperty({
    type: String,
    required: false,
    minLength: 1,
    maxLength: 100,
    pattern: lineOfText,
    example: 'obrien',
    description: 'Beginnings of words of the name, in any order, without regard to case and accents; or a phone number',
  })
  readonly search?: string;

  @ApiProperty({
    type: String,
    required: false,
    maxLength: 40,
    pattern: partOfPhoneNumber,
    description: 'A phone number, its beginning, or its last 4, 7 or 10 digits; however it is written',
  })
  readonly phone?: string;

  @ApiProperty({ type: String, format: 'date', required: false, pattern: yearOfBirth, description: 'Born on that day' })
  readonly dateOfBirth?: string;
}
