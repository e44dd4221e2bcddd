import './v8-flags';
import 'reflect-metadata';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { reasonOf } from './failure';
import { prepareGround } from './ground';
import { Config } from './platform/config';

/** Progress of the start, for people; the structured log begins when the application does. */
const say = (line: string) => process.stderr.write(`gatehouse: ${line}\n`);

/** The application takes a second to load, and nothing of it is needed before there are servers. */
const load = () => import('./server.js');

/** Before servers are started for a process that would end at once. @throws the system's error, such as EADDRINUSE */
async function assertFree(port: number, host: string): Promise<void> {
  const probe = createServer().listen(port, host);
  await once(probe, 'listening');
  probe.close();
  await once(probe, 'close');
}

async function main(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const config = Config.from(process.env);
  if (config.get('PORT') !== 0) await assertFree(config.get('PORT'), config.get('HOST'));
  const ground = await prepareGround(config, say, () => {
    load().catch(() => undefined); // thrown again below
  });
  try {
    if (config.get('NODE_ENV') === 'development') {
      const { seedDemo } = await import('./demo/demo-data.js');
      await seedDemo(ground.config, say);
    }
    const { startApplication } = await load();
    const application = await startApplication(ground.config);
    if (config.servesApi) {
      say(`API        ${application.url}`);
      say(`docs       ${application.url}/docs`);
      say(`dashboard  ${application.url}/dashboard`);
    } else {
      say(`health     ${application.url}/health/ready`);
    }
    say(`ready as ${config.get('GATEHOUSE_ROLE')} in ${Math.round(process.uptime() * 1000)} ms`);

    let stopping = false;
    const stop = (signal: string) => {
      if (stopping) return;
      stopping = true;
      say(`${signal}: finishing what was accepted`);
      application
        .stop()
        .then(() => ground.stop())
        .then(
          () => process.exit(0),
          (error: unknown) => fail(error),
        );
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  } catch (error) {
    await ground.stop();
    throw error;
  }
}

function fail(error: unknown): never {
  say(reasonOf(error));
  process.exit(1);
}

main().catch(fail);
