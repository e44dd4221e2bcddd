import { createHmac } from 'node:crypto';
import { resolve } from 'node:path';
import type { Config } from './platform/config';

/** The servers under the application, and how to let go of them. */
export interface Ground {
  /** The settings with the addresses of whatever was started. */
  readonly config: Config;
  /** Gives the embedded servers back; they stop with their last user. */
  stop(): Promise<void>;
}

const database = 'gatehouse';

/**
 * Makes sure that there are a Postgres with an up-to-date schema and a Redis: those the environment names, or embedded
 * ones. What is embedded is for development; production was refused before (`Config`).
 * @param meanwhile called while embedded servers start
 */
export async function prepareGround(
  config: Config,
  say: (line: string) => void,
  meanwhile: () => void = () => undefined,
): Promise<Ground> {
  const needsPostgres = config.get('DATABASE_URL') === undefined;
  const needsRedis = config.get('REDIS_URL') === undefined;
  if (!needsPostgres && !needsRedis) {
    await migrateIfOwner(config, say);
    return { config, stop: () => Promise.resolve() };
  }
  const { startEmbedded } = await import('./platform/embedded/index.js');
  const servers = await startEmbedded({
    dataDir: resolve(config.get('DATA_DIR')),
    postgres: needsPostgres,
    redis: needsRedis,
    redisServerBin: config.get('REDIS_SERVER_BIN'),
    log: say,
    meanwhile,
  });
  try {
    const { postgres, redis } = servers;
    let grounded = config;
    if (redis) grounded = grounded.with({ REDIS_URL: redis.url });
    if (postgres) {
      // Passwords that every process on this data folder arrives at, and nobody else.
      const login = (name: string) => ({
        name,
        password: createHmac('sha256', postgres.password).update(name).digest('hex'),
      });
      const { bootstrap } = await import('./platform/database/ground.js');
      const logins = { owner: login('gatehouse_owner'), app: login('gatehouse_api'), system: login('gatehouse_relay') };
      await bootstrap(postgres.urlFor(postgres.superuser, postgres.password, 'postgres'), database, logins);
      const urlOf = ({ name, password }: { name: string; password: string }) =>
        postgres.urlFor(name, password, database);
      grounded = grounded.with({
        DATABASE_URL: urlOf(logins.app),
        DATABASE_SYSTEM_URL: urlOf(logins.system),
        DATABASE_ADMIN_URL: urlOf(logins.owner),
      });
    }
    await migrateIfOwner(grounded, say);
    return { config: grounded, stop: () => servers.stop() };
  } catch (error) {
    await servers.stop();
    throw error;
  }
}

async function migrateIfOwner(config: Config, say: (line: string) => void): Promise<void> {
  const ownerUrl = config.get('DATABASE_ADMIN_URL');
  if (ownerUrl === undefined) return;
  const { migrate } = await import('./platform/database/ground.js');
  const done = await migrate(ownerUrl);
  if (done.length > 0) say(`migrations: ${done.join(', ')}`);
}
