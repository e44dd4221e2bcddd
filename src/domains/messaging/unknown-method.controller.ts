import { Controller, Get, Post } from '@nestjs/common';
import { ApiExcludeController, ApiParam } from '@nestjs/swagger';
import { ErrorsAs, Public, Responds } from '../../policy';
import { UnknownMethod } from './messaging.errors';
import { SlackError, slackErrors } from './slack-errors';

/** Stands behind all methods: a client is told at once that there is none, where it would try a 404 again for half an hour. */
@ApiExcludeController()
@Controller('api')
@Public('says no more than that there is no such method')
@ErrorsAs(slackErrors)
@ApiParam({ name: 'method', example: 'rtm.connect' })
export class UnknownMethodController {
  @Post(':method')
  @Responds(200, SlackError)
  post(): never {
    throw new UnknownMethod();
  }

  @Get(':method')
  @Responds(200, SlackError)
  get(): never {
    throw new UnknownMethod();
  }
}
