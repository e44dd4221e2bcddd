import { Controller, Get } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import { Responds } from '../responses/responds.decorator';
import { CrossTenant } from '../tenancy/tenancy.decorator';
import { PlanSource } from '../throttling/plan-source';
import { type Caller, CurrentCaller } from './caller';
import { MeView } from './me.view';

@Controller('me')
@CrossTenant('says only what the token and the plan in memory say')
export class MeController {
  constructor(private readonly plans: PlanSource) {}

  @Get()
  @ApiOperation({ summary: 'Say who calls' })
  @Responds(200, MeView)
  me(@CurrentCaller() caller: Caller): Caller {
    return { ...caller, usagePlan: this.plans.planOf(caller.clientId, caller.usagePlan) };
  }
}
