import { ApiProperty } from '@nestjs/swagger';
import type { Caller, Page } from '../../../policy';
import type { Identity } from '../directory.repository';
import type { Team, User } from '../entities/user.entity';
import { Ok, PagedOk } from './answers';
import { hint, PageArguments } from './arguments';
import { TeamView, teamView, UserView, userView } from './user.view';

/** The arguments of `users.info`. */
export class NamedUser {
  @ApiProperty({ type: String, minLength: 1, maxLength: 64, description: 'Its id', example: 'U0DEMOADA' })
  readonly user!: string;

  @ApiProperty({ ...hint, type: Boolean })
  readonly include_locale?: boolean;
}

/** The arguments of `users.list`. */
export class ListUsers extends PageArguments {
  @ApiProperty({ ...hint, type: Boolean })
  readonly include_locale?: boolean;
}

export class AuthTestView extends Ok {
  @ApiProperty({ type: String, example: 'https://harbor-street.example/' })
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

export class OneUserView extends Ok {
  @ApiProperty({ type: () => UserView })
  readonly user!: UserView;
}

export class UsersView extends PagedOk {
  @ApiProperty({ type: () => UserView, isArray: true })
  readonly members!: UserView[];
}

export class TeamInfoView extends Ok {
  @ApiProperty({ type: () => TeamView })
  readonly team!: TeamView;
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

export function oneUserView(user: User): Omit<OneUserView, 'ok'> {
  return { user: userView(user) };
}

export function usersView({ data, nextCursor }: Page<User>): Omit<UsersView, 'ok'> {
  return { members: data.map(userView), response_metadata: { next_cursor: nextCursor ?? '' } };
}

export function teamInfoView(team: Team): Omit<TeamInfoView, 'ok'> {
  return { team: teamView(team) };
}
