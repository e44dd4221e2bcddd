import { ApiProperty } from '@nestjs/swagger';
import type { AppRanking } from './app-tally';
import { type UsagePlanName, usagePlanNames } from './usage-plans';

const clientId = { type: String, description: 'The app', example: 'app_storefront' } as const;
const plan = { type: String, enum: [...usagePlanNames], example: 'standard' };

export class LimitUsageView {
  @ApiProperty({ type: String, description: 'As the headers name it', example: 'chat.postMessage' })
  readonly name!: string;

  @ApiProperty({ type: 'integer', description: 'Requests', example: 20 })
  readonly quota!: number;

  @ApiProperty({ type: 'integer', description: 'In how many seconds the whole quota comes back', example: 60 })
  readonly windowSeconds!: number;

  @ApiProperty({ type: 'integer', example: 3 })
  readonly used!: number;

  @ApiProperty({ type: 'integer', example: 17 })
  readonly remaining!: number;

  @ApiProperty({ type: String, format: 'date-time', description: 'When more becomes available' })
  readonly resetsAt!: string;
}

/** What an app has used of its limits, in the tenant of the token. */
export class UsageView {
  @ApiProperty(clientId)
  readonly clientId!: string;

  @ApiProperty({ ...plan, description: 'The usage plan in force; `internal` is not limited' })
  readonly plan!: UsagePlanName;

  @ApiProperty({ type: () => LimitUsageView, isArray: true })
  readonly limits!: LimitUsageView[];
}

export class AppUsageQuery {
  @ApiProperty({ type: String, enum: ['requests', 'refused'], required: false, default: 'requests' })
  readonly by: AppRanking = 'requests';

  @ApiProperty({ type: String, enum: ['this', 'last'], required: false, default: 'this', description: 'Hour of UTC' })
  readonly hour: 'this' | 'last' = 'this';

  @ApiProperty({ type: 'integer', minimum: 1, maximum: 100, default: 20, required: false })
  readonly limit: number = 20;
}

export class AppUsageView {
  @ApiProperty(clientId)
  readonly clientId!: string;

  @ApiProperty({ type: 'integer', example: 4_711 })
  readonly requests!: number;

  @ApiProperty({ type: 'integer', description: 'Beyond a limit', example: 12 })
  readonly refused!: number;

  @ApiProperty({ ...plan, description: 'Stored for the app; its tokens may claim another one' })
  readonly plan!: UsagePlanName;
}

/** The busiest apps of an hour; counted within a second or two. */
export class AppUsagesView {
  @ApiProperty({ type: String, format: 'date-time', description: 'When the hour began' })
  readonly since!: string;

  @ApiProperty({ type: () => AppUsageView, isArray: true })
  readonly data!: AppUsageView[];
}
