import { Controller, Get } from '@nestjs/common';
import { Responds } from '../responses/responds.decorator';
import { CrossTenant } from '../tenancy/tenancy.decorator';
import { type Caller, CurrentCaller } from './caller';
import { MeView } from './me.view';

@Controller('me')
@CrossTenant('says only what the token says')
export class MeController {
  @Get()
  @Responds(200, MeView)
  me(@CurrentCaller() caller: Caller): Caller {
    return caller;
  }
}
