import { type DynamicModule, Module } from '@nestjs/common';
import { AuditLogModule } from './domains/audit';
import { BookingsModule } from './domains/bookings';
import { MessagingModule } from './domains/messaging';
import { OperationsModule } from './domains/operations';
import { PatientsModule } from './domains/patients';
import type { Clock, Config } from './platform/config';
import { PlatformModule } from './platform/platform.module';
import { PolicyModule } from './policy/policy.module';

/** The table of contents: the ground, the gate, the rooms. */
@Module({})
export class AppModule {
  static async register(config: Config, clock?: Clock): Promise<DynamicModule> {
    return {
      module: AppModule,
      imports: [
        PlatformModule.register(config, clock),
        await PolicyModule.register(config),
        OperationsModule,
        AuditLogModule,
        PatientsModule,
        MessagingModule,
        BookingsModule.register(config),
      ],
    };
  }
}
