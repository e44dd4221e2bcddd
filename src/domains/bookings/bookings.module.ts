import { type DynamicModule, Module } from '@nestjs/common';
import type { Config } from '../../platform/config';
import { OutboxModule } from '../../platform/outbox';
import { PatientsModule } from '../patients';
import { BookingsController } from './bookings.controller';
import { BookingsRepository } from './bookings.repository';
import { BookingsService } from './bookings.service';
import { BookingConsumersModule } from './consumers/consumers.module';
import { PatientAppointmentsController } from './patient-appointments.controller';
import { SlotsController } from './slots.controller';

@Module({})
export class BookingsModule {
  static register(_config: Config): DynamicModule {
    return {
      module: BookingsModule,
      imports: [PatientsModule, OutboxModule, BookingConsumersModule],
      controllers: [BookingsController, PatientAppointmentsController, SlotsController],
      providers: [BookingsService, BookingsRepository],
    };
  }
}
