import { Body, Controller } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import {
  type Caller,
  CurrentCaller,
  ErrorsAs,
  PostOrGet,
  RateTier,
  Responds,
  Scopes,
  ScopesTold,
  TakesBody,
  Tenant,
  TokenField,
} from '../../policy';
import { DirectoryService } from './directory.service';
import { ok } from './dto/answers';
import { NoArguments } from './dto/arguments';
import {
  AuthTestView,
  authTestView,
  ListUsers,
  NamedUser,
  OneUserView,
  oneUserView,
  TeamInfoView,
  teamInfoView,
  UsersView,
  usersView,
} from './dto/directory.dto';
import { slackErrors } from './slack-errors';

@Controller('api')
@Tenant('workspace')
@ErrorsAs(slackErrors)
@TakesBody({ kind: 'json-or-form' })
@TokenField('token')
@ScopesTold()
export class DirectoryController {
  constructor(private readonly directory: DirectoryService) {}

  @PostOrGet('auth.test')
  @ApiOperation({ summary: 'Say who calls, as Slack does' })
  @Responds(200, AuthTestView)
  test(@CurrentCaller() caller: Caller, @Body() _none: NoArguments) {
    return ok(this.directory.identity(caller).then(authTestView(caller)));
  }

  @PostOrGet('team.info')
  @ApiOperation({ summary: 'Describe the workspace' })
  @Scopes('team:read')
  @RateTier(1)
  @Responds(200, TeamInfoView)
  team(@CurrentCaller() caller: Caller, @Body() _none: NoArguments) {
    return ok(this.directory.team(caller).then(teamInfoView));
  }

  @PostOrGet('users.info')
  @ApiOperation({ summary: 'Get a user' })
  @Scopes('users:read')
  @RateTier(1)
  @Responds(200, OneUserView)
  user(@CurrentCaller() caller: Caller, @Body() { user }: NamedUser) {
    return ok(this.directory.user(caller, user).then(oneUserView));
  }

  @PostOrGet('users.list')
  @ApiOperation({ summary: 'List users' })
  @Scopes('users:read')
  @RateTier(3)
  @Responds(200, UsersView)
  users(@CurrentCaller() caller: Caller, @Body() request: ListUsers) {
    return ok(this.directory.users(caller, request).then(usersView));
  }
}
