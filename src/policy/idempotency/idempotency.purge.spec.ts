import { World } from '../../../test/support/world';
import { Config } from '../../platform/config';
import { SystemDatabase } from '../../platform/database/system';
import { Log } from '../../platform/telemetry';
import { IdempotencyPurge } from './idempotency.purge';

describe('IdempotencyPurge', () => {
  it('removes what has expired, past one batch, and nothing else', async () => {
    const world = await World.create();
    const config = Config.from({ ...world.environment, NODE_ENV: 'test', LOG_LEVEL: 'silent' });
    const log = new Log(config);
    const system = new SystemDatabase(config, log);
    await world.sql(
      `INSERT INTO idempotency_records (tenant_id, key_hash, request_hash, status, expires_at)
       SELECT 't', int4send(n), ''::bytea, 201, now() + CASE WHEN n <= 6000 THEN -1 ELSE 1 END * interval '1 hour'
       FROM generate_series(1, 6003) n`,
    );
    expect(await new IdempotencyPurge(config, system, log).run()).toBe(6_000);
    expect(await world.sql('SELECT count(*)::int AS count FROM idempotency_records')).toEqual([{ count: 3 }]);
    await system.onApplicationShutdown();
    await world.end();
  });
});
