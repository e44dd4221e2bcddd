import { type INestApplication, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, DiscoveryModule } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import type { NextFunction, Response } from 'express';
import type { AddressInfo, Server } from 'node:net';
import { parseList } from 'structured-headers';
import { until } from '../../../test/support/until';
import { World } from '../../../test/support/world';
import { Config, ConfigModule } from '../../platform/config';
import { Context, ContextModule, freshContext } from '../../platform/context';
import { Redis, RedisModule } from '../../platform/redis';
import { Metrics, TelemetryModule } from '../../platform/telemetry';
import { RouteTable } from '../route-table';
import { ProblemFilter } from '../errors/problem.filter';
import { Problems } from '../errors/problems';
import { RefusalRecord } from '../errors/refusal-record';
import type { GateRequest } from '../request-state';
import { AROUND_POLICIES, AroundHandlers } from '../pipeline/around';
import { RouteGuard } from '../route.guard';
import { Routes } from '../routes';
import { AppPlansStore } from './app-plans.store';
import { PlanSource } from './plan-source';
import { ThrottlingGuard } from './throttling.guard';
import { ThrottlingModule } from './throttling.module';
import { ApiController, nobody } from './throttling.spec-support';
import { UsagePlansService } from './usage-plans.service';

/** A field's limits and what it says of each, read as RFC 9651 has it. */
const parsed = (headers: Headers, name: string) =>
  parseList(headers.get(name) ?? '').map(([limit, parameters]): [unknown, unknown] => [
    limit,
    Object.fromEntries(parameters),
  ]);

describe('throttling', () => {
  let world: World;
  const apps: INestApplication[] = [];
  let url: string;
  let shadowUrl: string;
  let app: INestApplication;

  beforeAll(async () => {
    world = await World.create();
    [app, url] = await start({});
    [, shadowUrl] = await start({ THROTTLE_MODE: 'shadow' });
  });
  afterAll(async () => {
    for (const started of apps) await started.close();
    await world.end();
  });

  async function start(environment: Record<string, string>): Promise<[INestApplication, string]> {
    const config = Config.from({
      NODE_ENV: 'test',
      REDIS_DEADLINE_MS: '10000',
      LOG_LEVEL: 'silent',
      ...world.environment,
      ...environment,
    });
    @Module({
      imports: [
        ConfigModule.register(config),
        ContextModule,
        TelemetryModule,
        RedisModule,
        DiscoveryModule,
        ThrottlingModule,
      ],
      controllers: [ApiController],
      providers: [
        Routes,
        AroundHandlers,
        { provide: AROUND_POLICIES, useValue: [] },
        RouteTable,
        Problems,
        { provide: RefusalRecord, useValue: { refused: () => undefined } },
        { provide: APP_GUARD, useClass: RouteGuard },
        { provide: APP_GUARD, useClass: ThrottlingGuard },
        { provide: APP_FILTER, useClass: ProblemFilter },
      ],
    })
    class GateModule {}
    const module = await Test.createTestingModule({ imports: [GateModule] }).compile();
    const started = module.createNestApplication({ logger: false });
    // Stands where authentication and tenancy stand: says who calls.
    started.use((request: GateRequest, _response: Response, next: NextFunction) => {
      const [clientId, tenant, usagePlan] = String(request.headers['x-caller'] ?? '').split(',');
      const work = freshContext({ correlationId: 'c', requestId: 'r', traceparent: undefined });
      work.tenant = tenant;
      request.gate = { work, startedAt: 0, ip: '', route: undefined, caller: undefined, rawBody: undefined };
      if (clientId) request.gate.caller = { ...nobody, clientId, usagePlan: usagePlan === '' ? undefined : usagePlan };
      started.get(Context).run(work, next);
    });
    await started.listen(0, '127.0.0.1');
    apps.push(started);
    const { port } = (started.getHttpServer() as Server).address() as AddressInfo;
    return [started, `http://127.0.0.1:${port}`];
  }

  let made = 0;
  const freshApp = () => `app-${(made += 1)}`;
  const send = async (path: string, caller: string, method = 'GET', to = url) => {
    const response = await fetch(`${to}${path}`, { method, headers: { 'x-caller': caller } });
    const text = await response.text();
    const body = (response.headers.get('content-type')?.includes('problem') ? JSON.parse(text) : {}) as Record<
      string,
      unknown
    >;
    return { status: response.status, headers: response.headers, body };
  };
  const statuses = async (count: number, path: string, caller: string, method = 'GET', to = url) =>
    Promise.all(Array.from({ length: count }, async () => (await send(path, caller, method, to)).status));
  const count = (all: number[], status: number) => all.filter((one) => one === status).length;

  it('says the route’s tier, the plan and the quota on every answer, in the grammar of structured fields', async () => {
    const { status, headers } = await send('/api/chat.postMessage', `${freshApp()},w1`, 'POST');
    expect(status).toBe(201);
    expect(headers.get('ratelimit-policy')).toBe(
      '"chat.postMessage";q=20;w=60, "standard";q=10;w=1, "daily";q=10000;w=86400',
    );
    expect(parsed(headers, 'ratelimit-policy')).toEqual([
      ['chat.postMessage', { q: 20, w: 60 }],
      ['standard', { q: 10, w: 1 }],
      ['daily', { q: 10_000, w: 86_400 }],
    ]);
    expect(parsed(headers, 'ratelimit')).toEqual([
      ['chat.postMessage', { r: 19, t: 60 }],
      ['standard', { r: 9, t: 1 }],
      ['daily', { r: 9999, t: expect.any(Number) as number }],
    ]);
    expect(headers.get('x-rate-limit-limit')).toBe('20');
    expect(headers.get('x-rate-limit-remaining')).toBe('19');
    const reset = Number(headers.get('x-rate-limit-reset')) - Date.now() / 1000;
    expect(reset).toBeGreaterThan(58);
    expect(reset).toBeLessThanOrEqual(61);
  });

  it('refuses with 429, the seconds to wait, and the limit that refuses', async () => {
    const caller = `${freshApp()},w1`;
    await send('/api/team.info', caller, 'POST');
    for (let again = 0; again < 2; again += 1) {
      const { status, headers, body } = await send('/api/team.info', caller, 'POST');
      expect(status).toBe(429);
      const wait = Number(headers.get('retry-after')); // less than the window where the machine is slow
      expect(wait).toBeGreaterThan(50);
      expect(wait).toBeLessThanOrEqual(60);
      expect(body).toMatchObject({ error: 'Rate limit exceeded', code: 'rate_limited', status: 429, retryAfter: wait });
      expect(headers.get('x-rate-limit-limit')).toBe('1');
      expect(headers.get('x-rate-limit-remaining')).toBe('0');
      expect(parsed(headers, 'ratelimit')).toContainEqual(['team.info', { r: 0, t: wait }]);
      expect(parsed(headers, 'ratelimit-policy')).toContainEqual(['team.info', { q: 1, w: 60 }]);
    }
  });

  it('gives a standard app 10 at once, an enterprise app 100, an internal one all', async () => {
    expect(count(await statuses(30, '/api/plain', freshApp()), 200)).toBeLessThan(30);
    expect(count(await statuses(90, '/api/plain', `${freshApp()},,enterprise`), 200)).toBe(90);
    expect(count(await statuses(150, '/api/plain', `${freshApp()},,internal`), 200)).toBe(150);
  });

  it('keeps the tiers of two workspaces, methods and apps apart', async () => {
    const client = freshApp();
    const other = freshApp();
    const callers = [`${client},w1,internal`, `${client},w2,internal`, `${other},w1,internal`];
    for (const caller of callers) {
      const all = await statuses(40, '/api/chat.postMessage', caller, 'POST');
      expect([count(all, 201), count(all, 429)]).toEqual([20, 20]);
      expect(count(await statuses(5, '/api/team.info', caller, 'POST'), 201)).toBe(1);
    }
  });

  it('counts a weighted route as what it weighs', async () => {
    const caller = freshApp();
    const { headers } = await send('/api/heavy', caller);
    expect(headers.get('ratelimit')).toContain('"daily";r=9994');
  });

  it('leaves public and unmetered routes alone', async () => {
    const caller = freshApp();
    for (const path of ['/api/open', '/api/unmetered']) {
      expect(count(await statuses(40, path, caller), 200)).toBe(40);
      expect((await send(path, caller)).headers.has('ratelimit')).toBe(false);
    }
    expect((await send('/api/open', '')).status).toBe(200);
  });

  it('gives back what a request took that failed through us, and keeps what failed through the client', async () => {
    const caller = `${freshApp()},,enterprise`;
    const used = async () => {
      const { status, headers } = await send('/api/plain', caller);
      expect(status).toBe(200);
      return 1_000_000 - Number(/"daily";r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]);
    };
    await send('/api/fails/404', caller);
    expect(await used()).toBe(2);
    for (const status of [500, 503, 504]) await send(`/api/fails/${status}`, caller);
    let own = 2; // the 404 and the look at it
    await until(async () => (await used()) === ++own);
  });

  it('in shadow mode counts what it would refuse, and serves it', async () => {
    const caller = `${freshApp()},w1,internal`;
    const all = await statuses(30, '/api/chat.postMessage', caller, 'POST', shadowUrl);
    expect(count(all, 201)).toBe(30);
    const metric = await apps[1]?.get(Metrics).registry.getSingleMetricAsString('rate_limit_shadowed_requests_total');
    expect(metric).toContain('{route="POST /api/chat.postMessage",limit="chat.postMessage"} 10');
    expect(await apps[1]?.get(Metrics).registry.getSingleMetricAsString('rate_limited_requests_total')).not.toContain(
      '} ',
    );
  });

  it('counts refusals by route and limit', async () => {
    const caller = freshApp();
    await statuses(3, '/api/team.info', `${caller},w9`, 'POST');
    const metric = await app.get(Metrics).registry.getSingleMetricAsString('rate_limited_requests_total');
    expect(metric).toMatch(/\{route="POST \/api\/team\.info",limit="team\.info"\} \d+/);
  });

  it('takes a changed plan into force on every node, and the token’s claim over it', async () => {
    const clientId = freshApp();
    const [here, there] = apps.slice(0, 2).map((node) => node.get(PlanSource));
    expect(here?.planOf(clientId, undefined)).toBe('standard');
    const operator = { ...nobody, userId: 'user_olu' };
    const changed = await app.get(UsagePlansService).change(operator, clientId, 'enterprise');
    expect(changed).toMatchObject({ clientId, plan: 'enterprise', changedBy: 'user_olu' });
    expect(here?.planOf(clientId, undefined)).toBe('enterprise');
    await until(() => there?.planOf(clientId, undefined) === 'enterprise');
    expect(here?.planOf(clientId, 'internal')).toBe('internal');
    expect(here?.planOf(clientId, 'platinum')).toBe('enterprise');
    expect(here?.planOf(freshApp(), 'platinum')).toBe('standard');
    expect(count(await statuses(60, '/api/plain', clientId), 200)).toBe(60);

    await app.get(UsagePlansService).change(operator, clientId, 'standard');
    await until(() => [here, there].every((plans) => plans?.planOf(clientId, undefined) === 'standard'));
    const { headers } = await send('/api/plain', clientId);
    expect(headers.get('ratelimit')).toContain('"daily";r=9939'); // the day's count outlives the change
  });

  it('lets an app that was refused under its old plan go on at once under its new one', async () => {
    const clientId = freshApp();
    await app.get(Redis).commands.ping();
    expect(count(await statuses(60, '/api/plain', clientId), 429)).toBeGreaterThan(0);
    await app.get(UsagePlansService).change({ ...nobody, userId: 'user_olu' }, clientId, 'internal');
    expect((await send('/api/plain', clientId)).status).toBe(200);
  });

  it('lists the stored plans page by page, and knows them after a restart', async () => {
    const clients = ['list-a', 'list-b', 'list-c'];
    const service = app.get(UsagePlansService);
    for (const clientId of clients) await service.change({ ...nobody, userId: 'user_olu' }, clientId, 'enterprise');
    const found: string[] = [];
    for (let cursor: string | undefined | null = undefined; cursor !== null;) {
      const page = await service.page(cursor === undefined ? { limit: 2 } : { limit: 2, cursor });
      found.push(...page.data.map(({ clientId }) => clientId));
      cursor = page.nextCursor;
    }
    expect(found).toEqual([...found].sort());
    expect(found).toEqual(expect.arrayContaining(clients));
    const [later] = await start({});
    expect(later.get(PlanSource).planOf('list-b', undefined)).toBe('enterprise');
  });

  it('lets only the role for cross-tenant work touch the plans', async () => {
    const client = await world.runtimeClient();
    try {
      await expect(client.query('SELECT * FROM app_plans')).rejects.toThrow(/permission denied/);
    } finally {
      await client.end();
    }
    const [stored] = await app.get(AppPlansStore).list('list-a', 1);
    expect(stored).toMatchObject({ clientId: 'list-b', plan: 'enterprise' });
  });
});
