import { Module } from '@nestjs/common';
import { OutboxModule } from '../../platform/outbox';
import { SecretsModule } from '../../platform/secrets';
import { PatientsController } from './patients.controller';
import { PatientsRepository } from './patients.repository';
import { PatientsService } from './patients.service';

@Module({
  imports: [OutboxModule, SecretsModule],
  controllers: [PatientsController],
  providers: [PatientsRepository, PatientsService],
  exports: [PatientsService],
})
export class PatientsModule {}
