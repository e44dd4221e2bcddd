import { ApiProperty } from '@nestjs/swagger';
import { FreeText } from '../../firewall/free-text.decorator';

/** Letters that no name in a token has are refused as in the token. */
const name = { type: String, minLength: 1, maxLength: 255, pattern: '^[^\\u0000-\\u001f\\u007f]+$', required: false };

/** What to revoke: exactly one of the three. Free text, or whoever chose an attack for a name could not be revoked. */
export class RevocationRequest {
  @FreeText()
  @ApiProperty({ ...name, description: 'One token, by its `jti`', example: 'tok_01jzgxv9hfe8tr0s5t2q6vbn4c' })
  readonly jti?: string;

  @FreeText()
  @ApiProperty({ ...name, description: 'All tokens of a user issued until now, by `sub`' })
  readonly sub?: string;

  @FreeText()
  @ApiProperty({ ...name, description: 'All tokens of an app issued until now, by `client_id`' })
  readonly clientId?: string;
}

export class RevocationView {
  @ApiProperty({ type: String, example: 'rev_01jzgxvbq5f4fayn5d1vq3m6q8' })
  readonly id!: string;

  @ApiProperty({ type: String, required: false })
  readonly jti?: string;

  @ApiProperty({ type: String, required: false })
  readonly sub?: string;

  @ApiProperty({ type: String, required: false })
  readonly clientId?: string;

  @ApiProperty({ type: String, format: 'date-time', description: 'Tokens of the user or app issued later are valid' })
  readonly revokedAt!: string;

  @ApiProperty({ type: String, format: 'date-time', description: 'When every token it covers has expired by itself' })
  readonly expiresAt!: string;

  @ApiProperty({ type: String, description: 'The operator who revoked', example: 'user_olu' })
  readonly revokedBy!: string;
}
