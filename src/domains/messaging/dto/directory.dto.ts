import { ApiProperty } from '@nestjs/swagger';
import type { Caller } from '../../../policy';
import type { Identity } from '../directory.repository';
import { Ok } from './answers';

export class AuthTestView extends Ok {
  @ApiProperty({ type: String, example: 'https://demo.gatehouse.example/' })
  readonly url!: string;

  @ApiProperty({ type: String, example: 'Harbor Street' })
  readonly team!: string;

  @ApiProperty({ type: String, example: 'standup' })
  readonly user!: string;

  @ApiProperty({ type: String, example: 'T0DEMO' })
  readonly team_id!: string;

  @ApiProperty({ type: String, example: 'U0DEMOBOT' })
  readonly user_id!: string;

  @ApiProperty({ type: String, required: false, description: 'Where the user is a bot', example: 'U0DEMOBOT' })
  readonly bot_id?: string;

  @ApiProperty({ type: String, description: 'The app', example: 'app_standup' })
  readonly app_id!: string;

  @ApiProperty({ type: Boolean, example: false })
  readonly is_enterprise_install!: boolean;
}

export function authTestView({ userId, clientId }: Caller): (identity: Identity) => Omit<AuthTestView, 'ok'> {
  return ({ workspace_id, team, domain, user, is_bot }) => ({
    url: `https://${domain}/`,
    team,
    user,
    team_id: workspace_id,
    user_id: userId,
    ...(is_bot && { bot_id: userId }),
    app_id: clientId,
    is_enterprise_install: false,
  });
}
