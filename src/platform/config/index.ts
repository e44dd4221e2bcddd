export { Clock, ManualClock } from './clock';
export { Config, ConfigurationError } from './config';
export { ConfigModule } from './config.module';
export { type FieldKey, fieldKeys } from './field-keys';
export { envExample } from './env-example';
export type { Settings } from './variables';
export { keptFile } from './kept-file';
