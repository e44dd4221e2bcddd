import { NotFoundException } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NextFunction, Request, Response } from 'express';
import type { Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppModule } from './app.module';
import { useDemoExamples } from './demo/examples';
import { mountDashboard } from './domains/operations';
import type { Clock, Config } from './platform/config';
import { FastExpressAdapter } from './platform/http';
import { Log } from './platform/telemetry';
import { Draining } from './policy/context/draining';
import { serverLimits } from './policy/firewall/server-limits';
import { mountDocs } from './policy/openapi/docs';
import { mountGate } from './policy/policy.module';

export interface RunningApplication {
  readonly app: NestExpressApplication;
  /** Where it answers: the API, or for a worker health and metrics alone. */
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
  if (config.servesApi) mountDashboard(app, join(__dirname, 'dashboard'));
  else app.use(onlyOperations);
  mountDocs(app, config, config.get('NODE_ENV') === 'development' ? useDemoExamples : () => undefined);
  await app.listen(config.get('PORT'), config.get('HOST'));
  const server = app.getHttpServer();
  server.setTimeout(stalledAfterMs);
  server.on('clientError', limits.onClientError);
  server.on('checkContinue', limits.onExpectation);
  server.on('checkExpectation', limits.onExpectation);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server listens on no port');
  const url = `http://${config.get('HOST') === '0.0.0.0' ? 'localhost' : config.get('HOST')}:${address.port}`;
  log.info({ url }, 'Listening');

  return {
    app,
    url,
    stop: async () => {
      // Clients on kept-alive connections are told to come back on another one before the port closes.
      app.get(Draining).begin();
      await sleep(config.get('SHUTDOWN_DRAIN_MS'));
      await finish(server);
      await app.close();
      log.close();
    },
  };
}

/** A connection on which nothing moves for so long is ended: above the deadline, so that no answer is cut. */
const stalledAfterMs = 35_000;

/** How long connections may still bring a request that was on its way when the port closed, in milliseconds. */
const graceMs = 250;

/**
 * Closes the port, but no connection: http's own `close()` at once ends those that look idle, also where a request lies
 * unread in their buffer. What is silent after a moment is closed then; `app.close()` waits for the rest.
 */
async function finish(server: Server): Promise<void> {
  NetServer.prototype.close.call(server);
  await sleep(graceMs);
}

/** A worker answers its orchestrator and its scraper, and nobody else. */
function onlyOperations({ path }: Request, _response: Response, next: NextFunction): void {
  if (path.startsWith('/health/') || path === '/metrics') next();
  else next(new NotFoundException());
}
