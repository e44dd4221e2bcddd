import { ApiProperty } from '@nestjs/swagger';
import { type UsagePlanName, usagePlanNames } from '../throttling/usage-plans';
import { type Role, roles } from './caller';

/** What the token says of its bearer, as the policies understand it, and the usage plan that is in force. */
export class MeView {
  @ApiProperty({ type: String, example: 'user_ana' })
  readonly userId!: string;

  @ApiProperty({
    type: String,
    description: 'The app; the user where the token names no app',
    example: 'app_frontdesk',
  })
  readonly clientId!: string;

  @ApiProperty({ type: String, required: false, example: 'practice_p001' })
  readonly practiceId?: string;

  @ApiProperty({ type: String, required: false })
  readonly workspaceId?: string;

  @ApiProperty({ type: String, required: false, description: 'The practice where the token names no account' })
  readonly accountId?: string;

  @ApiProperty({ type: String, enum: roles, required: false, example: 'scheduling_agent' })
  readonly role?: Role;

  @ApiProperty({ type: [String], example: ['bookings:write'] })
  readonly scopes!: readonly string[];

  @ApiProperty({ type: String, description: 'Content plan', example: 'standard' })
  readonly plan!: string;

  @ApiProperty({ type: String, example: 'us-east-1' })
  readonly region!: string;

  @ApiProperty({ type: String, required: false })
  readonly deviceId?: string;

  @ApiProperty({
    type: String,
    enum: usagePlanNames,
    description:
      'The plan in force: what the issuer claims, else what the operator stored for the app, else `standard`',
    example: 'standard',
  })
  readonly usagePlan!: UsagePlanName;
}
