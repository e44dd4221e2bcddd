import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module';
import { Config } from './platform/config';
import { censusOf } from './policy/census';
import { Routes } from './policy/routes';

/** `npm run explain [part of a route's name]`: who reaches what, and under which policies. Needs no server. */
async function explain(part = ''): Promise<void> {
  const unused = {
    DATABASE_URL: 'postgres://unused',
    DATABASE_SYSTEM_URL: 'postgres://unused',
    REDIS_URL: 'redis://127.0.0.1:1',
    PHI_KEYS: `unused:${Buffer.alloc(32).toString('base64')}`,
  };
  const config = Config.from({ ...unused, LOG_LEVEL: 'silent' });
  const app = await NestFactory.create(await AppModule.register(config), { logger: false });
  const routes = app
    .get(Routes)
    .all()
    .filter(({ name }) => name.toLowerCase().includes(part.toLowerCase()));
  process.stdout.write(`${censusOf(routes)}\n`);
  process.exit(0);
}

void explain(process.argv[2]);
