import { ApiProperty } from '@nestjs/swagger';
import type { Team, User } from '../entities/user.entity';

const flag = { type: Boolean, example: false } as const;

export class ProfileView {
  @ApiProperty({ type: String, example: 'Ada Lovelace' })
  readonly real_name!: string;

  @ApiProperty({ type: String, example: 'ada' })
  readonly display_name!: string;

  @ApiProperty({ type: String, required: false, description: 'The app, where it is a bot', example: 'app_standup' })
  readonly api_app_id?: string;
}

/** A person or a bot as Slack shows one. */
export class UserView {
  @ApiProperty({ type: String, example: 'U0DEMOADA' })
  readonly id!: string;

  @ApiProperty({ type: String, example: 'T0DEMO' })
  readonly team_id!: string;

  @ApiProperty({ type: String, example: 'ada' })
  readonly name!: string;

  @ApiProperty({ type: String, example: 'Ada Lovelace' })
  readonly real_name!: string;

  @ApiProperty(flag)
  readonly deleted!: boolean;

  @ApiProperty(flag)
  readonly is_admin!: boolean;

  @ApiProperty(flag)
  readonly is_bot!: boolean;

  @ApiProperty({ type: 'integer', description: 'Epoch seconds', example: 1_732_497_302 })
  readonly updated!: number;

  @ApiProperty({ type: () => ProfileView })
  readonly profile!: ProfileView;
}

/** A workspace as Slack shows one. */
export class TeamView {
  @ApiProperty({ type: String, example: 'T0DEMO' })
  readonly id!: string;

  @ApiProperty({ type: String, example: 'Harbor Street' })
  readonly name!: string;

  @ApiProperty({ type: String, example: 'harbor-street.example' })
  readonly domain!: string;

  @ApiProperty({ type: String, example: 'https://harbor-street.example/' })
  readonly url!: string;
}

/** The view of a stored user. */
export function userView({ workspace_id, id, name, real_name, app_id, deleted, is_admin, updated }: User): UserView {
  const profile = { real_name, display_name: name, ...(app_id !== null && { api_app_id: app_id }) };
  return { id, team_id: workspace_id, name, real_name, deleted, is_admin, is_bot: app_id !== null, updated, profile };
}

/** The view of a stored workspace. */
export function teamView({ workspace_id, name, domain }: Team): TeamView {
  return { id: workspace_id, name, domain, url: `https://${domain}/` };
}
