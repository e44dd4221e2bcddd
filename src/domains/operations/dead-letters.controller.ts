import { Controller, Get, Param, Post, Query } from '@nestjs/common';
import { ApiConflictResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import { AuditedBefore, type Caller, CrossTenant, CurrentCaller, pageOf, Responds, Roles } from '../../policy';
import { DeadLettersService } from './dead-letters.service';
import { DeadLetterView, ListDeadLetters, RetriedView } from './dto/dead-letter.view';

@Controller('dead-letters')
@Roles('operator')
@CrossTenant('operators see the failed deliveries of all tenants')
export class DeadLettersController {
  constructor(private readonly deadLetters: DeadLettersService) {}

  @Get()
  @ApiOperation({ summary: 'List dead letters' })
  @Responds(200, pageOf(DeadLetterView))
  list(@Query() query: ListDeadLetters) {
    return this.deadLetters.list(query);
  }

  @Post(':id/retry')
  @ApiOperation({ summary: 'Retry a dead letter' })
  @AuditedBefore('dead_letter.retry', ({ params }) => [params.id])
  @ApiParam({ name: 'id', example: 'evt_01jz0000000000000000000001.crm' })
  @ApiConflictResponse({ description: 'The delivery is not dead' })
  @Responds(202, RetriedView)
  retry(@CurrentCaller() caller: Caller, @Param('id') id: string) {
    return this.deadLetters.retry(caller, id);
  }
}
