import { Controller, Get, Query } from '@nestjs/common';
import { type Caller, CurrentCaller, ErrorsAs, RateTier, Responds, Scopes, Tenant } from '../../policy';
import { ConversationsService } from './conversations.service';
import { DirectoryService } from './directory.service';
import { ok } from './dto/answers';
import { NoArguments, PageArguments } from './dto/arguments';
import {
  ChannelsView,
  channelsView,
  HistoryArguments,
  HistoryView,
  historyView,
  ListChannels,
  MembersArguments,
  MembersView,
  membersView,
  RepliesArguments,
} from './dto/conversations.dto';
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

/** The methods that read, by GET: the same ones under the same limits, their arguments in the query, the token in the header alone. */
@Controller('api')
@Tenant('workspace')
@ErrorsAs(slackErrors)
export class ReadingController {
  constructor(
    private readonly conversations: ConversationsService,
    private readonly directory: DirectoryService,
  ) {}

  @Get('auth.test')
  @Responds(200, AuthTestView)
  test(@CurrentCaller() caller: Caller, @Query() _none: NoArguments) {
    return ok(this.directory.identity(caller).then(authTestView(caller)));
  }

  @Get('team.info')
  @Scopes('team:read')
  @RateTier(1)
  @Responds(200, TeamInfoView)
  team(@CurrentCaller() caller: Caller, @Query() _none: NoArguments) {
    return ok(this.directory.team(caller).then(teamInfoView));
  }

  @Get('users.info')
  @Scopes('users:read')
  @RateTier(1)
  @Responds(200, OneUserView)
  user(@CurrentCaller() caller: Caller, @Query() { user }: NamedUser) {
    return ok(this.directory.user(caller, user).then(oneUserView));
  }

  @Get('users.list')
  @Scopes('users:read')
  @RateTier(3)
  @Responds(200, UsersView)
  users(@CurrentCaller() caller: Caller, @Query() request: PageArguments) {
    return ok(this.directory.users(caller, request).then(usersView));
  }

  @Get('conversations.list')
  @Scopes('channels:read')
  @RateTier(2)
  @Responds(200, ChannelsView)
  list(@CurrentCaller() caller: Caller, @Query() request: ListChannels) {
    return ok(this.conversations.list(caller, request).then(channelsView));
  }

  @Get('conversations.history')
  @Scopes('channels:history')
  @RateTier(3)
  @Responds(200, HistoryView)
  history(@CurrentCaller() caller: Caller, @Query() request: HistoryArguments) {
    return ok(this.conversations.history(caller, request).then(historyView));
  }

  @Get('conversations.replies')
  @Scopes('channels:history')
  @RateTier(3)
  @Responds(200, HistoryView)
  replies(@CurrentCaller() caller: Caller, @Query() request: RepliesArguments) {
    return ok(this.conversations.replies(caller, request).then(historyView));
  }

  @Get('conversations.members')
  @Scopes('channels:read')
  @RateTier(3)
  @Responds(200, MembersView)
  members(@CurrentCaller() caller: Caller, @Query() request: MembersArguments) {
    return ok(this.conversations.members(caller, request).then(membersView));
  }
}
