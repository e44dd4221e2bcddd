import { type DynamicModule, Module } from '@nestjs/common';
import { type Clock, type Config, ConfigModule } from './config';
import { ContextModule } from './context';
import { DatabaseModule } from './database';
import { PagingModule } from './paging';
import { RedisModule } from './redis';
import { TelemetryModule } from './telemetry';

/** The ground that everything stands on. */
@Module({})
export class PlatformModule {
  static register(config: Config, clock?: Clock): DynamicModule {
    return {
      module: PlatformModule,
      imports: [
        ConfigModule.register(config, clock),
        ContextModule,
        TelemetryModule,
        DatabaseModule,
        RedisModule,
        PagingModule,
      ],
    };
  }
}
