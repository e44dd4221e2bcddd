import { Module } from '@nestjs/common';
import { OutboxModule } from '../../platform/outbox';
import { DeadLettersController } from './dead-letters.controller';
import { DeadLettersService } from './dead-letters.service';
import { HealthController } from './health.controller';
import { HealthService } from './health.service';

/** What operators and orchestrators ask of a running system. */
@Module({
  imports: [OutboxModule],
  controllers: [HealthController, DeadLettersController],
  providers: [HealthService, DeadLettersService],
})
export class OperationsModule {}
