import { Controller, Get, HttpException, Param, Post } from '@nestjs/common';
import { Public } from '../auth/access.decorators';
import type { Caller } from '../auth/caller';
import { RateTier, Unmetered, Weight } from './throttling.decorators';

/** Routes of each kind that the limits tell apart. */
@Controller('api')
export class ApiController {
  @Post('chat.postMessage')
  @RateTier(2)
  post() {
    return 'ok';
  }

  @Post('team.info')
  @RateTier(1)
  info() {
    return 'ok';
  }

  @Get('plain')
  plain() {
    return 'ok';
  }

  @Get('heavy')
  @Weight(6)
  heavy() {
    return 'ok';
  }

  @Get('fails/:status')
  fails(@Param('status') status: string) {
    throw new HttpException('no', Number(status));
  }

  @Get('open')
  @Public('for the test')
  open() {
    return 'ok';
  }

  @Get('unmetered')
  @Unmetered('for the test')
  unmetered() {
    return 'ok';
  }
}

/** A caller with nothing but a name. */
export const nobody: Caller = {
  userId: 'user',
  clientId: 'app',
  practiceId: undefined,
  workspaceId: undefined,
  accountId: undefined,
  role: 'operator',
  scopes: [],
  plan: 'standard',
  usagePlan: undefined,
  region: '',
  deviceId: undefined,
  tokenId: undefined,
  issuedAt: undefined,
  expiresAt: 0,
};
