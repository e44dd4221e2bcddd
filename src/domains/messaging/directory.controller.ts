import { Body, Controller, Post } from '@nestjs/common';
import { type Caller, CurrentCaller, ErrorsAs, Responds, TakesBody, Tenant, TokenField } from '../../policy';
import { DirectoryService } from './directory.service';
import { ok } from './dto/answers';
import { NoArguments } from './dto/arguments';
import { AuthTestView, authTestView } from './dto/directory.dto';
import { slackErrors } from './slack-errors';

@Controller('api')
@Tenant('workspace')
@ErrorsAs(slackErrors)
@TakesBody({ kind: 'json-or-form' })
@TokenField('token')
export class DirectoryController {
  constructor(private readonly directory: DirectoryService) {}

  @Post('auth.test')
  @Responds(200, AuthTestView)
  test(@CurrentCaller() caller: Caller, @Body() _none: NoArguments) {
    return ok(this.directory.identity(caller).then(authTestView(caller)));
  }
}
