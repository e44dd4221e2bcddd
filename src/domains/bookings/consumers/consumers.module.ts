import { Module } from '@nestjs/common';
import { OutboxModule } from '../../../platform/outbox';
import { AnalyticsConsumer } from './analytics.consumer';
import { ConsumersRepository } from './consumers.repository';
import { CrmConsumer } from './crm.consumer';
import { SmsConsumer } from './sms.consumer';

/** Who hears of appointments: each with a queue, retries and dead letters of its own. */
@Module({ imports: [OutboxModule], providers: [ConsumersRepository, SmsConsumer, CrmConsumer, AnalyticsConsumer] })
export class BookingConsumersModule {}
