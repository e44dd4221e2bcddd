import { Body, Controller, Get, Param, Put, Query } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import { AuditedBefore } from '../audit/audited.decorator';
import { Roles } from '../auth/access.decorators';
import { type Caller, CurrentCaller } from '../auth/caller';
import { type Page, pageOf, PageQuery } from '../responses/page';
import { Responds } from '../responses/responds.decorator';
import { CrossTenant } from '../tenancy/tenancy.decorator';
import { AppPath, AppPlanView, PlanChange } from './usage-plans.dto';
import { UsagePlansService } from './usage-plans.service';

@Controller('usage-plans')
@CrossTenant('a usage plan belongs to an app, whatever tenants it serves')
@Roles('operator')
export class UsagePlansController {
  constructor(private readonly plans: UsagePlansService) {}

  @Put(':clientId')
  @ApiOperation({ summary: 'Set an app’s usage plan' })
  @AuditedBefore('usage_plan.change', ({ params }) => [params.clientId])
  @Responds(200, AppPlanView)
  change(
    @CurrentCaller() operator: Caller,
    @Param() { clientId }: AppPath,
    @Body() { plan }: PlanChange,
  ): Promise<AppPlanView> {
    return this.plans.change(operator, clientId, plan);
  }

  @Get()
  @ApiOperation({ summary: 'List stored usage plans' })
  @Responds(200, pageOf(AppPlanView))
  list(@Query() query: PageQuery): Promise<Page<AppPlanView>> {
    return this.plans.page(query);
  }
}
