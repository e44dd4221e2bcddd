import { Module } from '@nestjs/common';
import { HealthController } from './health.controller';
import { HealthService } from './health.service';

/** What operators and orchestrators ask of a running system. */
@Module({ controllers: [HealthController], providers: [HealthService] })
export class OperationsModule {}
