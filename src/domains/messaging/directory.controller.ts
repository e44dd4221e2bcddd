import { Body, Controller } from '@nestjs/common';
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
import { NoArguments, PageArguments } from './dto/arguments';
import {
  AuthTestView,
  authTestView,
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
  @Responds(200, AuthTestView)
  test(@CurrentCaller() caller: Caller, @Body() _none: NoArguments) {
    return ok(this.directory.identity(caller).then(authTestView(caller)));
  }

  @PostOrGet('team.info')
  @Scopes('team:read')
  @RateTier(1)
  @Responds(200, TeamInfoView)
  team(@CurrentCaller() caller: Caller, @Body() _none: NoArguments) {
    return ok(this.directory.team(caller).then(teamInfoView));
  }

  @PostOrGet('users.info')
  @Scopes('users:read')
  @RateTier(1)
  @Responds(200, OneUserView)
  user(@CurrentCaller() caller: Caller, @Body() { user }: NamedUser) {
    return ok(this.directory.user(caller, user).then(oneUserView));
  }

  @PostOrGet('users.list')
  @Scopes('users:read')
  @RateTier(3)
  @Responds(200, UsersView)
  users(@CurrentCaller() caller: Caller, @Body() request: PageArguments) {
    return ok(this.directory.users(caller, request).then(usersView));
  }
}
