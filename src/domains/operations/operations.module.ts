import { Module } from '@nestjs/common';
import { OutboxModule } from '../../platform/outbox';
import { DeadLettersModule } from '../../platform/outbox/dead-letters';
import { DeadLettersController } from './dead-letters.controller';
import { DeadLettersService } from './dead-letters.service';
import { HealthController } from './health.controller';
import { HealthService } from './health.service';

/** What operators and orchestrators ask of a running system. */
@Module({
  imports: [OutboxModule, DeadLettersModule],
  controllers: [HealthController, DeadLettersController],
  providers: [HealthService, DeadLettersService],
})
export class OperationsModule {}
