import { Body, Controller, Get, Post, Query } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import { AuditedBefore, type AuditedRequest } from '../../audit/audited.decorator';
import { type Page, pageOf, PageQuery } from '../../responses/page';
import { Responds } from '../../responses/responds.decorator';
import { CrossTenant } from '../../tenancy/tenancy.decorator';
import { Roles } from '../access.decorators';
import { type Caller, CurrentCaller } from '../caller';
import { RevocationRequest, RevocationView } from './revocations.dto';
import { RevocationsService } from './revocations.service';

@Controller('auth/revocations')
@CrossTenant('tokens are revoked for the whole installation')
@Roles('operator')
export class RevocationsController {
  constructor(private readonly revocations: RevocationsService) {}

  @Post()
  @ApiOperation({ summary: 'Revoke a token, a user or an app' })
  @AuditedBefore('token.revoke', ({ body }: AuditedRequest<RevocationRequest>) => [body.jti, body.sub, body.clientId])
  @Responds(201, RevocationView)
  revoke(@CurrentCaller() operator: Caller, @Body() request: RevocationRequest): Promise<RevocationView> {
    return this.revocations.revoke(operator, request);
  }

  @Get()
  @ApiOperation({ summary: 'List revocations, newest first' })
  @Responds(200, pageOf(RevocationView))
  list(@Query() query: PageQuery): Promise<Page<RevocationView>> {
    return this.revocations.page(query);
  }
}
