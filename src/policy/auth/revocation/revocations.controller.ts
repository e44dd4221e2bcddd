import { Body, Controller, Get, Post, Query } from '@nestjs/common';
import { Responds } from '../../responses/responds.decorator';
import { CrossTenant } from '../../tenancy/tenancy.decorator';
import { Roles } from '../access.decorators';
import { type Caller, CurrentCaller } from '../caller';
import { RevocationPage, RevocationRequest, RevocationsQuery, RevocationView } from './revocations.dto';
import { RevocationsService } from './revocations.service';

@Controller('auth/revocations')
@CrossTenant('tokens are revoked for the whole installation')
@Roles('operator')
export class RevocationsController {
  constructor(private readonly revocations: RevocationsService) {}

  @Post()
  @Responds(201, RevocationView)
  revoke(@CurrentCaller() operator: Caller, @Body() request: RevocationRequest): Promise<RevocationView> {
    return this.revocations.revoke(operator, request);
  }

  @Get()
  @Responds(200, RevocationPage)
  list(@Query() query: RevocationsQuery): Promise<RevocationPage> {
    return this.revocations.page(query);
  }
}
