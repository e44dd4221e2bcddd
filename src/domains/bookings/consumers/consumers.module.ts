import { Module } from '@nestjs/common';
import { AuditModule } from '../../../platform/audit';
import { OutboxModule } from '../../../platform/outbox';
import { AnalyticsConsumer } from './analytics.consumer';
import { ConsumersRepository } from './consumers.repository';
import { CrmConsumer } from './crm.consumer';
import { Disclosures } from './disclosures';
import { SmsConsumer } from './sms.consumer';

/** Who hears of appointments: each with a queue, retries and dead letters of its own. */
@Module({
  imports: [AuditModule, OutboxModule],
  providers: [ConsumersRepository, Disclosures, SmsConsumer, CrmConsumer, AnalyticsConsumer],
})
export class BookingConsumersModule {}
