export { Log } from './log';
export { Metrics } from './metrics';
export { TelemetryModule } from './telemetry.module';
