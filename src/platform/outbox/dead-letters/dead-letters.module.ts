import { Module } from '@nestjs/common';
import { SystemDatabaseModule } from '../../database/system';
import { OutboxModule } from '../outbox.module';
import { DeadLetters } from './dead-letters';

/** The failed deliveries of all tenants; for operators, hence apart from what every domain may have of the outbox. */
@Module({ imports: [OutboxModule, SystemDatabaseModule], providers: [DeadLetters], exports: [DeadLetters] })
export class DeadLettersModule {}
