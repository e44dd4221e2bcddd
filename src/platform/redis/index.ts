export { Redis, RedisUnavailable } from './redis';
export { RedisModule } from './redis.module';
