import { type INestApplication, Module, type NestMiddleware, type Type } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, DiscoveryModule, NestFactory } from '@nestjs/core';
import type { NextFunction, Response } from 'express';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Clock, Config, ConfigModule } from '../../platform/config';
import { ContextModule } from '../../platform/context';
import { FastExpressAdapter } from '../../platform/http';
import { Log, Metrics } from '../../platform/telemetry';
import { BodyGuard } from '../body/body.guard';
import { AdmissionMiddleware } from '../concurrency/admission.middleware';
import { CriticalWork } from '../concurrency/critical-work';
import { ContextMiddleware } from '../context/context.middleware';
import { Draining } from '../context/draining';
import { CorsMiddleware } from '../cors/cors.middleware';
import { RouteTable } from '../route-table';
import { OriginList } from '../cors/origin-list';
import { ProblemFilter } from '../errors/problem.filter';
import { Problems } from '../errors/problems';
import { RefusalRecord } from '../errors/refusal-record';
import { AROUND_POLICIES, AroundHandlers } from '../pipeline/around';
import type { GateRequest } from '../request-state';
import { RouteGuard } from '../route.guard';
import { Routes } from '../routes';
import { FirewallRecord } from './firewall-record';
import { FirewallMiddleware } from './firewall.middleware';
import { InjectionGuard } from './injection.guard';
import { serverLimits } from './server-limits';

/** The policies up to authentication, in their order, before a few routes. */
export interface SmallGate {
  readonly app: INestApplication;
  readonly url: string;
  readonly port: number;
  /** The lines logged so far. */
  readonly log: string[];
  /** What the firewall counted under a rule. */
  refusals(rule: string): Promise<number>;
  /** Writes the bytes and gives what came until the server closed its side. */
  exchange(...parts: (string | Buffer)[]): Promise<string>;
  close(): Promise<void>;
}

export async function startSmallGate(
  controllers: Type[],
  environment: Record<string, string> = {},
  clock = new Clock(),
): Promise<SmallGate> {
  const config = Config.from({ NODE_ENV: 'test', LOG_LEVEL: 'info', ...environment });
  const lines: string[] = [];
  const before = [ContextMiddleware, AdmissionMiddleware, FirewallMiddleware, CorsMiddleware];

  @Module({
    imports: [ConfigModule.register(config, clock), ContextModule, DiscoveryModule],
    controllers,
    providers: [
      Metrics,
      { provide: Log, useValue: new Log(config, { write: (line) => void lines.push(line) }) },
      ...before,
      Problems,
      { provide: RefusalRecord, useValue: { refused: () => undefined } },
      CriticalWork,
      Draining,
      FirewallRecord,
      OriginList,
      RouteTable,
      Routes,
      AroundHandlers,
      { provide: AROUND_POLICIES, useValue: [] },
      ...[RouteGuard, BodyGuard, InjectionGuard].map((useClass) => ({ provide: APP_GUARD, useClass })),
      { provide: APP_FILTER, useClass: ProblemFilter },
    ],
  })
  class SmallGateModule {}

  const limits = serverLimits(config);
  const adapter = new FastExpressAdapter(limits.options);
  const app = await NestFactory.create(SmallGateModule, adapter, {
    logger: false,
    bodyParser: false,
    abortOnError: false,
  });
  for (const policy of before) {
    const middleware = app.get<NestMiddleware<GateRequest, Response>>(policy);
    app.use((request: GateRequest, response: Response, next: NextFunction): void => {
      middleware.use(request, response, next);
    });
  }
  await app.listen(0, '127.0.0.1');
  const server = app.getHttpServer() as Server;
  server.on('clientError', limits.onClientError);
  server.on('checkContinue', limits.onExpectation);
  server.on('checkExpectation', limits.onExpectation);
  const { port } = server.address() as AddressInfo;
  return {
    app,
    port,
    url: `http://127.0.0.1:${port}`,
    log: lines,
    refusals: async (rule) => {
      const metric = await app.get(Metrics).registry.getSingleMetric('firewall_refusals_total')?.get();
      return metric?.values.find(({ labels }) => labels.rule === rule)?.value ?? 0;
    },
    exchange: (...parts) =>
      new Promise((resolve, reject) => {
        let text = '';
        const socket = connect(port, '127.0.0.1', () => {
          for (const part of parts) socket.write(part);
        });
        socket.on('data', (chunk) => (text += chunk.toString('latin1')));
        socket.on('end', () => {
          socket.end();
          resolve(text);
        });
        socket.on('error', reject);
      }),
    close: () => app.close(),
  };
}
