import { resolve } from 'node:path';
import { translate } from './database.errors';

/** Where the build puts the migrations, beside the code that runs them. */
const migrationFiles = resolve(__dirname, '../../migrations/*.js');
/** Two processes that start at once take turns. */
const migrationLock = 7_204_815_331;

/**
 * Brings the schema up to date as its owner; a second process waits for the first.
 * @returns the names of the migrations that ran
 * @throws DatabaseUnavailable when it cannot be reached
 */
export async function migrate(ownerUrl: string): Promise<string[]> {
  // A process that does not migrate does without: it is the largest library of all.
  const { DataSource } = await import('typeorm');
  const source = new DataSource({
    type: 'postgres',
    url: ownerUrl,
    migrations: [migrationFiles],
    migrationsTableName: 'migrations',
    migrationsTransactionMode: 'each',
    applicationName: 'gatehouse-migrate',
  });
  await source.initialize().catch((error: unknown) => {
    throw translate(error);
  });
  const lock = source.createQueryRunner();
  try {
    await lock.query('SELECT pg_advisory_lock($1)', [migrationLock]);
    const done = await source.runMigrations();
    return done.map(({ name }) => name);
  } catch (error) {
    throw withDetail(error);
  } finally {
    await lock.release();
    await source.destroy();
  }
}

/** Postgres says in the detail which object, or which row, is in the way; the message alone does not name it. */
function withDetail(error: unknown): unknown {
  const { message, driverError } = error as Error & { driverError?: { detail?: string } };
  return driverError?.detail ? new Error(`${message}: ${driverError.detail}`, { cause: error }) : error;
}
