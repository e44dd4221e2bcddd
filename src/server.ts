import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppModule } from './app.module';
import { useDemoExamples } from './demo/examples';
import type { Clock, Config } from './platform/config';
import { FastExpressAdapter } from './platform/http';
import { Log } from './platform/telemetry';
import { Draining } from './policy/context/draining';
import { serverLimits } from './policy/firewall/server-limits';
import { mountDocs } from './policy/openapi/docs';
import { mountGate } from './policy/policy.module';

export interface RunningApplication {
  readonly app: NestExpressApplication;
  /** Where the API answers; `undefined` for a worker, which answers health and metrics alone. */
  readonly url: string;
  /** Answers what was accepted, then stops. */
  stop(): Promise<void>;
}

/** Starts the roles that the settings name, on servers that are ready. */
export async function startApplication(config: Config, clock?: Clock): Promise<RunningApplication> {
  const limits = serverLimits(config);
  const app = await NestFactory.create<NestExpressApplication>(
    await AppModule.register(config, clock),
    new FastExpressAdapter(limits.options),
    { bodyParser: false, bufferLogs: true, abortOnError: false },
  );
  const log = app.get(Log);
  app.useLogger(log);
  app.flushLogs();
  mountGate(app);
  mountDocs(app, config, config.get('NODE_ENV') === 'development' ? useDemoExamples : () => undefined);
  await app.listen(config.get('PORT'), config.get('HOST'));
  const server = app.getHttpServer();
  server.on('clientError', limits.onClientError);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server listens on no port');
  const url = `http://${config.get('HOST') === '0.0.0.0' ? 'localhost' : config.get('HOST')}:${address.port}`;
  log.info({ url }, 'Listening');

  return {
    app,
    url,
    stop: async () => {
      // Clients on kept-alive connections are told to come back on another one before the port closes, so that no request
      // is on its way to a connection that is no more.
      app.get(Draining).begin();
      await sleep(config.get('SHUTDOWN_DRAIN_MS'));
      await app.close();
    },
  };
}
