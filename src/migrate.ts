import 'reflect-metadata';
import { existsSync } from 'node:fs';
import { seedDemo } from './demo/demo-data';
import { sentenceOf } from './failure';
import { Config } from './platform/config';
import { migrate } from './platform/database/ground';

const say = (line: string) => process.stderr.write(`gatehouse: ${line}\n`);

/** The step of a deployment before its processes: brings the schema up to date as the owner of the tables, and ends. */
async function main(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const config = Config.from(process.env);
  const ownerUrl = config.get('DATABASE_ADMIN_URL');
  if (ownerUrl === undefined) throw new Error('DATABASE_ADMIN_URL is unset: migrations run as the owner of the tables');
  const done = await migrate(ownerUrl);
  say(done.length > 0 ? `migrations: ${done.join(', ')}` : 'the schema is up to date');
  if (config.get('NODE_ENV') === 'development') await seedDemo(config, say);
}

main().catch((error: unknown) => {
  say(`cannot migrate: ${sentenceOf(error)}`);
  process.exit(1);
});
