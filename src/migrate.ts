import { existsSync } from 'node:fs';
import { Config } from './platform/config';
import { migrate } from './platform/database/ground';

/** `npm run migrate`: brings the schema of DATABASE_ADMIN_URL up to date and ends; a deployment's step before the start. */
async function main(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const ownerUrl = Config.from(process.env).get('DATABASE_ADMIN_URL');
  if (ownerUrl === undefined) throw new Error('DATABASE_ADMIN_URL is unset: it names the owner of the tables');
  const done = await migrate(ownerUrl);
  process.stderr.write(
    `gatehouse: ${done.length > 0 ? `migrations: ${done.join(', ')}` : 'the schema is up to date'}\n`,
  );
}

main().catch((error: unknown) => {
  process.stderr.write(`gatehouse: cannot migrate: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
