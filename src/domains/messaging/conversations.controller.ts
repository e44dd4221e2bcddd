import { Body, Controller, Post } from '@nestjs/common';
import {
  type Caller,
  CurrentCaller,
  ErrorsAs,
  RateTier,
  Responds,
  Scopes,
  TakesBody,
  Tenant,
  TokenField,
} from '../../policy';
import { ConversationsService } from './conversations.service';
import { ok } from './dto/answers';
import {
  ChannelsView,
  channelsView,
  HistoryArguments,
  HistoryView,
  historyView,
  ListChannels,
} from './dto/conversations.dto';
import { slackErrors } from './slack-errors';

@Controller('api')
@Tenant('workspace')
@ErrorsAs(slackErrors)
@TakesBody({ kind: 'json-or-form' })
@TokenField('token')
export class ConversationsController {
  constructor(private readonly conversations: ConversationsService) {}

  @Post('conversations.list')
  @Scopes('channels:read')
  @RateTier(2)
  @Responds(200, ChannelsView)
  list(@CurrentCaller() caller: Caller, @Body() request: ListChannels) {
    return ok(this.conversations.list(caller, request).then(channelsView));
  }

  @Post('conversations.history')
  @Scopes('channels:history')
  @RateTier(3)
  @Responds(200, HistoryView)
  history(@CurrentCaller() caller: Caller, @Body() request: HistoryArguments) {
    return ok(this.conversations.history(caller, request).then(historyView));
  }
}
