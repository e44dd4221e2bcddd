import { Global, Module, type OnApplicationShutdown } from '@nestjs/common';
import { Config } from '../config';
import { Log } from './log';
import { Metrics } from './metrics';

@Global()
@Module({
  providers: [Metrics, { provide: Log, inject: [Config], useFactory: (config: Config) => new Log(config) }],
  exports: [Metrics, Log],
})
export class TelemetryModule implements OnApplicationShutdown {
  constructor(private readonly log: Log) {}

  onApplicationShutdown(): void {
    this.log.close();
  }
}
