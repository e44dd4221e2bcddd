import { ApiProperty } from '@nestjs/swagger';
import { type UsagePlanName, usagePlanNames } from './usage-plans';

const clientId = { type: String, minLength: 1, maxLength: 255, pattern: '^[^\\u0000-\\u001f\\u007f]+$' };
const plan = { type: String, enum: [...usagePlanNames], example: 'enterprise' };

export class AppPath {
  @ApiProperty({ ...clientId, description: 'The app, as the claim `client_id` names it', example: 'app_storefront' })
  readonly clientId!: string;
}

export class PlanChange {
  @ApiProperty({ ...plan, description: 'In force within a second, unless the app’s tokens claim another plan' })
  readonly plan!: UsagePlanName;
}

export class AppPlanView {
  @ApiProperty({ type: String, example: 'app_storefront' })
  readonly clientId!: string;

  @ApiProperty(plan)
  readonly plan!: UsagePlanName;

  @ApiProperty({ type: String, format: 'date-time' })
  readonly changedAt!: string;

  @ApiProperty({ type: String, description: 'The operator who chose it', example: 'user_olu' })
  readonly changedBy!: string;
}
