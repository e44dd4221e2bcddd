import { Test } from '@nestjs/testing';
import { WebClientEvent } from '@slack/web-api';
import { setTimeout as pause } from 'node:timers/promises';
import { AppModule } from '../src/app.module';
import { Config } from '../src/platform/config';
import { type RoutePolicies, Routes } from '../src/policy/routes';
import { requestsPerMinuteOfTier } from '../src/policy/throttling/usage-plans';
import { call } from './support/api';
import { HeldClock } from './support/held-clock';
import type { GateProcess } from './support/process';
import { botToken, seedWorkspace, slackClient, type Workspace } from './support/workspace';
import { World } from './support/world';

type Method = RoutePolicies & { readonly tier: keyof typeof requestsPerMinuteOfTier };

describe('the limits of messaging', () => {
  let world: World;
  let clock: HeldClock;
  let gate: GateProcess;
  let x: Workspace;
  let y: Workspace;
  let routes: readonly RoutePolicies[];
  let close: () => Promise<void>;

  beforeAll(async () => {
    world = await World.create();
    clock = new HeldClock(world);
    x = await seedWorkspace(world, 'x');
    y = await seedWorkspace(world, 'y');
    const config = Config.from({ ...world.environment, NODE_ENV: 'test', LOG_LEVEL: 'silent' });
    const module = await Test.createTestingModule({ imports: [await AppModule.register(config)] }).compile();
    routes = module.get(Routes).all();
    close = () => module.close();
    gate = await world.start({ GATEHOUSE_ROLE: 'api', REDIS_DEADLINE_MS: '10000', ...clock.environment });
  });
  afterAll(async () => {
    await close();
    await world.end();
  });

  /** Each method once, by POST; that GET shares its figures is shown elsewhere. */
  const methods = (): Method[] =>
    routes.filter((route): route is Method => route.tier !== undefined && route.method === 'POST');

  describe('of the SDK', () => {
    const others = [
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
      'nextTick',
      'queueMicrotask',
      'Date',
      'hrtime',
      'performance',
    ] as const;
    beforeEach(() => jest.useFakeTimers({ doNotFake: [...others] }));
    afterEach(() => jest.useRealTimers());

    it('lets 60 posts in a row arrive in order, through two pauses that end when Retry-After says', async () => {
      const token = await botToken(gate, x, { client_id: 'app_sixty' });
      const slack = slackClient(gate, token, { retryConfig: { retries: 10, factor: 1.96821, randomize: true } });
      const pauses: number[] = [];
      slack.on(WebClientEvent.RATE_LIMITED, (seconds: number) => {
        pauses.push(seconds);
        clock.advance(seconds * 1000);
      });
      const texts = Array.from({ length: 60 }, (_, n) => `number ${n}`);
      const posting = { isOver: false };
      const posted = (async () => {
        for (const text of texts) await slack.chat.postMessage({ channel: 'Cx1', text });
      })().finally(() => (posting.isOver = true));
      // Its pause, and the one before it tries again, are over at once.
      const waiting = (async () => {
        while (!posting.isOver) {
          await pause(1);
          if (jest.getTimerCount() > 0) await jest.runOnlyPendingTimersAsync();
        }
      })();
      await Promise.all([posted, waiting]);
      expect(pauses).toEqual([60, 60]);
      const rows = await world.sql<{ text: string }>(`SELECT text FROM messages WHERE channel_id = 'Cx1' ORDER BY ts`);
      expect(rows.map(({ text }) => text)).toEqual(texts);
    });
  });

  it('is asked for by every method that reads and writes, as the tiers say', () => {
    const tiers = Object.fromEntries(methods().map(({ path, tier }) => [path.slice('/api/'.length), tier]));
    expect(tiers).toEqual({
      'team.info': 1,
      'users.info': 1,
      'chat.postMessage': 2,
      'chat.update': 2,
      'chat.delete': 2,
      'conversations.list': 2,
      'conversations.create': 2,
      'conversations.join': 2,
      'conversations.history': 3,
      'conversations.replies': 3,
      'users.list': 3,
      'conversations.members': 3,
    });
  });

  it('is the same by GET and by POST', () => {
    const byGet = routes.filter(({ method, tenant }) => method === 'GET' && tenant === 'workspace');
    expect(byGet.length).toBeGreaterThan(7);
    for (const { path, tier, scopes, answer, inputs } of byGet) {
      const post = routes.find((route) => route.method === 'POST' && route.path === path);
      expect([path, tier, scopes, answer, inputs.query]).toEqual([
        path,
        post?.tier,
        post?.scopes,
        post?.answer,
        post?.inputs.body,
      ]);
    }
  });

  it('of one app in one workspace on one method change no figure of its neighbours', async () => {
    const tokens = {
      'app A in X': await botToken(gate, x, { client_id: 'app_a' }),
      'app A in Y': await botToken(gate, y, { client_id: 'app_a' }),
      'app B in X': await botToken(gate, x, { client_id: 'app_b' }),
    };
    // What a method is asked for does not matter: its limit is decided before its arguments are read.
    const ask = async (who: keyof typeof tokens, { path }: Method) => {
      const { status, headers } = await call(gate, path, { method: 'POST', token: tokens[who] });
      const left = /;r=(\d+);/.exec(headers.get('ratelimit') ?? '')?.[1];
      return { who, path, status, left: Number(left) };
    };
    for (const method of methods()) {
      const limit = requestsPerMinuteOfTier[method.tier];
      // Full, though every method before it was flooded.
      expect((await ask('app A in X', method)).left).toBe(limit - 1);
      const flood: number[] = [];
      while (flood.length < limit + 19) {
        const some = Array.from({ length: Math.min(20, limit + 19 - flood.length) }, () => ask('app A in X', method));
        flood.push(...(await Promise.all(some)).map(({ status }) => status));
      }
      expect(flood.filter((status) => status === 429)).toHaveLength(20);
    }
    for (const who of ['app A in Y', 'app B in X'] as const) {
      for (const method of methods()) {
        const left = requestsPerMinuteOfTier[method.tier] - 1;
        expect(await ask(who, method)).toEqual({ who, path: method.path, status: 200, left });
      }
    }
  });

  it('of an app’s plan change no figure of another app’s, and are the same in all its workspaces', async () => {
    const standard = (where: Workspace, name: string) =>
      botToken(gate, where, { client_id: name, usage_plan: 'standard' });
    const aInX = await standard(x, 'app_planned_a');
    const aInY = await standard(y, 'app_planned_a');
    const bInX = await standard(x, 'app_planned_b');
    const ask = async (token: string) => {
      const { status, headers } = await call(gate, '/api/auth.test', { method: 'POST', token });
      const left = [...(headers.get('ratelimit') ?? '').matchAll(/;r=(\d+);/g)].map(([, number]) => Number(number));
      return { status, left };
    };
    const flood = await Promise.all(Array.from({ length: 60 }, () => ask(aInX)));
    expect(flood.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(await ask(bInX)).toEqual({ status: 200, left: [9, 9_999] });
    expect((await ask(aInY)).status).toBe(429);
    clock.advance(50); // a place of 20 a second
    expect(await ask(aInY)).toEqual({ status: 200, left: [0, 9_989] });
  });
});
