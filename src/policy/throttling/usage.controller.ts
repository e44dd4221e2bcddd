import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import { Roles } from '../auth/access.decorators';
import { type Caller, CurrentCaller } from '../auth/caller';
import { Responds } from '../responses/responds.decorator';
import { CrossTenant } from '../tenancy/tenancy.decorator';
import { AppUsageQuery, AppUsagesView, UsageView } from './usage.dto';
import { UsageService } from './usage.service';

@Controller()
export class UsageController {
  constructor(private readonly usage: UsageService) {}

  @Get('usage')
  @ApiOperation({ summary: 'Show the calling app its use of each limit' })
  @CrossTenant('tells an app its own figures, and touches no data of a tenant')
  @Responds(200, UsageView)
  mine(@CurrentCaller() caller: Caller): Promise<UsageView> {
    return this.usage.ofCaller(caller);
  }

  @Get('app-usage')
  @ApiOperation({ summary: 'Rank apps by requests or refusals' })
  @CrossTenant('an app’s use is the app’s, whatever tenants it serves')
  @Roles('operator')
  @Responds(200, AppUsagesView)
  top(@Query() query: AppUsageQuery): Promise<AppUsagesView> {
    return this.usage.ofApps(query);
  }
}
