import { Body, Controller, Post } from '@nestjs/common';
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
import { ConversationsService } from './conversations.service';
import { ok } from './dto/answers';
import {
  ChannelsView,
  channelsView,
  CreateChannel,
  HistoryArguments,
  HistoryView,
  historyView,
  JoinedView,
  joinedView,
  ListChannels,
  MembersArguments,
  MembersView,
  membersView,
  NamedChannel,
  OneChannelView,
  oneChannelView,
  RepliesArguments,
} from './dto/conversations.dto';
import { slackErrors } from './slack-errors';

@Controller('api')
@Tenant('workspace')
@ErrorsAs(slackErrors)
@TakesBody({ kind: 'json-or-form' })
@TokenField('token')
@ScopesTold()
export class ConversationsController {
  constructor(private readonly conversations: ConversationsService) {}

  @PostOrGet('conversations.list')
  @ApiOperation({ summary: 'List channels' })
  @Scopes('channels:read')
  @RateTier(2)
  @Responds(200, ChannelsView)
  list(@CurrentCaller() caller: Caller, @Body() request: ListChannels) {
    return ok(this.conversations.list(caller, request).then(channelsView));
  }

  @PostOrGet('conversations.history')
  @ApiOperation({ summary: 'Read a channel’s messages' })
  @Scopes('channels:history')
  @RateTier(3)
  @Responds(200, HistoryView)
  history(@CurrentCaller() caller: Caller, @Body() request: HistoryArguments) {
    return ok(this.conversations.history(caller, request).then(historyView));
  }

  @PostOrGet('conversations.replies')
  @ApiOperation({ summary: 'Read a thread' })
  @Scopes('channels:history')
  @RateTier(3)
  @Responds(200, HistoryView)
  replies(@CurrentCaller() caller: Caller, @Body() request: RepliesArguments) {
    return ok(this.conversations.replies(caller, request).then(historyView));
  }

  @PostOrGet('conversations.members')
  @ApiOperation({ summary: 'List a channel’s members' })
  @Scopes('channels:read')
  @RateTier(3)
  @Responds(200, MembersView)
  members(@CurrentCaller() caller: Caller, @Body() request: MembersArguments) {
    return ok(this.conversations.members(caller, request).then(membersView));
  }

  @Post('conversations.create')
  @ApiOperation({ summary: 'Create a channel' })
  @Scopes('channels:manage')
  @RateTier(2)
  @Responds(200, OneChannelView)
  create(@CurrentCaller() caller: Caller, @Body() request: CreateChannel) {
    return ok(this.conversations.create(caller, request).then(oneChannelView));
  }

  @Post('conversations.join')
  @ApiOperation({ summary: 'Join a channel' })
  @Scopes('channels:join')
  @RateTier(2)
  @Responds(200, JoinedView)
  join(@CurrentCaller() caller: Caller, @Body() request: NamedChannel) {
    return ok(this.conversations.join(caller, request).then(joinedView));
  }
}
