import { type DynamicModule, Global, Module } from '@nestjs/common';
import { Clock } from './clock';
import { Config } from './config';

/** Settings and the clock, for everyone. */
@Global()
@Module({})
export class ConfigModule {
  static register(config: Config, clock: Clock = new Clock()): DynamicModule {
    return {
      module: ConfigModule,
      providers: [
        { provide: Config, useValue: config },
        { provide: Clock, useValue: clock },
      ],
      exports: [Config, Clock],
    };
  }
}
