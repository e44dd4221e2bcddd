import { Body, Controller, Post } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import {
  type Caller,
  CurrentCaller,
  ErrorsAs,
  RateTier,
  Responds,
  Scopes,
  ScopesTold,
  TakesBody,
  Tenant,
  TokenField,
} from '../../policy';
import { ChatService, type Posted } from './chat.service';
import { ok } from './dto/answers';
import { DeletedView, NamedMessage, PostedView, PostMessage, UpdatedView, UpdateMessage } from './dto/chat.dto';
import { messageView } from './dto/message.view';
import { slackErrors } from './slack-errors';

/** The longest text in a form, every character of it escaped. */
const maxBodyBytes = 524_288;

@Controller('api')
@Tenant('workspace')
@ErrorsAs(slackErrors)
@TakesBody({ kind: 'json-or-form', maxBytes: maxBodyBytes })
@TokenField('token')
@ScopesTold()
export class ChatController {
  constructor(private readonly chat: ChatService) {}

  @Post('chat.postMessage')
  @ApiOperation({ summary: 'Post a message' })
  @Scopes('chat:write')
  @RateTier(2)
  @Responds(200, PostedView)
  post(@CurrentCaller() caller: Caller, @Body() request: PostMessage) {
    return ok(this.chat.post(caller, request).then(postedView));
  }

  @Post('chat.update')
  @ApiOperation({ summary: 'Change a message' })
  @Scopes('chat:write')
  @RateTier(2)
  @Responds(200, UpdatedView)
  update(@CurrentCaller() caller: Caller, @Body() request: UpdateMessage) {
    return ok(this.chat.update(caller, request).then(updatedView));
  }

  @Post('chat.delete')
  @ApiOperation({ summary: 'Delete a message' })
  @Scopes('chat:write')
  @RateTier(2)
  @Responds(200, DeletedView)
  delete(@CurrentCaller() caller: Caller, @Body() request: NamedMessage) {
    return ok(this.chat.delete(caller, request));
  }
}

function postedView({ channel, message }: Posted): Omit<PostedView, 'ok'> {
  const view = messageView(message);
  return { channel, ts: view.ts, message: view };
}

function updatedView(posted: Posted): Omit<UpdatedView, 'ok'> {
  return { ...postedView(posted), text: posted.message.text };
}
