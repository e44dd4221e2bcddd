// @ts-check
/** Workspaces, their bots' claims and their messages, as the benches need them (migrations/…-AddMessaging.ts). */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import pg from 'pg';
import { exported } from './exported.mjs';
import { openStore } from './throttle.mjs';

export const WORKSPACES = 400;
/** @param {number} n From 0. */
export const workspaceId = (n) => `TBENCH${String(n).padStart(3, '0')}`;
/** Its one channel. @param {number} n */
export const channelId = (n) => `CBENCH${String(n).padStart(3, '0')}`;
const userId = (/** @type {number} */ n) => `UBENCH${String(n).padStart(3, '0')}`;

/** What a bot's token says. @param {number} n its workspace */
export const botClaims = (n) => ({
  sub: userId(n),
  client_id: `app_bench${n}`,
  workspace_id: workspaceId(n),
  scope: 'chat:write channels:history channels:read',
  usage_plan: 'internal',
});

/** Workspaces with a bot and a channel each, and no message. @param {string} superuserUrl */
export function seedWorkspaces(superuserUrl) {
  return connected(superuserUrl, async (client) => {
    await client.query(`DELETE FROM messages WHERE workspace_id LIKE 'TBENCH%'`);
    const numbers = `(SELECT lpad(g::text, 3, '0') AS n FROM generate_series(0, ${WORKSPACES - 1}) g) numbers`;
    for (const seed of [
      `INSERT INTO workspaces (id, name, domain) SELECT 'TBENCH' || n, 'Bench', 'bench' FROM ${numbers}`,
      `INSERT INTO workspace_users (workspace_id, id, name, real_name) SELECT 'TBENCH' || n, 'UBENCH' || n, 'bot', 'Bot' FROM ${numbers}`,
      `INSERT INTO channels (workspace_id, id, name, creator) SELECT 'TBENCH' || n, 'CBENCH' || n, 'general', 'UBENCH' || n FROM ${numbers}`,
      `INSERT INTO channel_members (workspace_id, channel_id, user_id) SELECT 'TBENCH' || n, 'CBENCH' || n, 'UBENCH' || n FROM ${numbers}`,
    ])
      await client.query(`${seed} ON CONFLICT DO NOTHING`);
    for (const table of ['workspaces', 'workspace_users', 'channels', 'channel_members', 'messages'])
      await client.query(`VACUUM ANALYZE ${table}`);
    await client.query('CHECKPOINT'); // the seed's own writing is not to be paid for by whoever is measured first
  });
}

/** @param {string} superuserUrl @returns {Promise<number>} */
export function countMessages(superuserUrl) {
  return connected(superuserUrl, async (client) => {
    const { rows } = await client.query(
      `SELECT count(*)::int AS n FROM messages WHERE workspace_id LIKE 'TBENCH%' AND app_id LIKE 'app\\_bench%'`,
    );
    return rows[0].n;
  });
}

const windowMs = 60_000;
const postTier = Object.freeze({ kind: 'window', name: 'chat.postMessage', requests: 20, windowMs });
/** When requests may come, in a window that is filled. */
const MOMENT_MS = 100;
const MOMENTS = windowMs / MOMENT_MS;

/**
 * A post whose limit is used up, again and again: the decision alone, or all that the guard does with it; or what Redis needs
 * for many (app, workspace, method), or for the plans of their apps.
 * @param {{ redisUrl: string, guard?: boolean, triples?: number, requests?: number, plan?: boolean }} config
 */
export async function create({ redisUrl, guard = false, triples, ...filling }) {
  if (triples !== undefined) return fill(redisUrl, triples, filling);
  const [LimitKeys] = await exported('policy/throttling/limit-keys.js', 'LimitKeys');
  const [ruleOf] = await exported('policy/throttling/limits.js', 'ruleOf');
  const { store, close, ...rest } = await openStore(redisUrl);
  const keys = new LimitKeys();
  const app = `app_bench${Date.now()}`;
  if (!guard) {
    const window = keys.of(app).window(workspaceId(0), postPath);
    const rule = ruleOf([postTier]);
    while ((await store.decide(rule, [window], 1)).allowed);
    return { operate: () => store.decide(rule, [window], 1), close };
  }
  const { operate, stop } = await refusedByGuard({ store, keys, app, ...rest });
  return {
    operate,
    async close() {
      stop();
      await close();
    },
  };
}

const postPath = '/api/chat.postMessage';

/** @param {Record<string, any>} parts */
async function refusedByGuard({ store, keys, app, config, clock, metrics, redis }) {
  const at = (/** @type {string} */ file, /** @type {string} */ name) => exported(`policy/throttling/${file}.js`, name);
  const [ThrottlingGuard] = await at('throttling.guard', 'ThrottlingGuard');
  const [RouteRules] = await at('route-rules', 'RouteRules');
  const [Refunds] = await at('refunds', 'Refunds');
  const [DecisionRecord] = await at('decision-record', 'DecisionRecord');
  const [AppTally] = await at('app-tally', 'AppTally');
  const [PlanSource] = await at('plan-source', 'PlanSource');
  const [PolicyRefusal] = await exported('policy/errors/policy-refusal.js', 'PolicyRefusal');
  class NoStoredPlans extends PlanSource {
    stored() {
      return undefined;
    }
  }
  const tally = new AppTally(redis, clock);
  const record = new DecisionRecord(tally, config, metrics);
  const [rules, plans, refunds] = [new RouteRules(), new NoStoredPlans(), new Refunds(store)];
  const guard = new ThrottlingGuard([], {}, {}, store, keys, rules, plans, refunds, clock, record);
  const route = {
    name: `POST ${postPath}`,
    path: postPath,
    tier: 2,
    weight: 1,
    unmetered: undefined,
    public: undefined,
  };
  const caller = { clientId: app, usagePlan: 'internal' };
  const request = { gate: { route, caller, work: { tenant: workspaceId(0) } } };
  const incoming = new IncomingMessage(new Socket());
  const ask = () => {
    const response = new ServerResponse(incoming);
    const http = { getRequest: () => request, getResponse: () => response };
    return guard.canActivate({ switchToHttp: () => http });
  };
  const isRefusal = (/** @type {any} */ error) => error instanceof PolicyRefusal && error.status === 429;
  for (let refused = false; !refused;)
    refused = await ask().then(
      () => false,
      (/** @type {unknown} */ error) => isRefusal(error),
    );
  return {
    operate() {
      try {
        ask();
      } catch (error) {
        if (isRefusal(error)) return;
        throw error;
      }
      throw new Error('what is to be refused was let through, or Redis was asked');
    },
    stop: () => tally.onApplicationShutdown(),
  };
}

/**
 * @param {string} redisUrl @param {number} triples
 * @param {{ requests?: number, plan?: boolean }} filling full windows of so many requests; the plans; or, with neither, methods of
 *   all tiers alike, with any number in their windows
 */
async function fill(redisUrl, triples, { requests, plan = false }) {
  const [LimitKeys] = await exported('policy/throttling/limit-keys.js', 'LimitKeys');
  const [ruleOf] = await exported('policy/throttling/limits.js', 'ruleOf');
  const [limitsOfPlan, requestsOfTier] = await exported(
    'policy/throttling/usage-plans.js',
    'limitsOfPlan',
    'requestsPerMinuteOfTier',
  );
  const startedMs = Date.now();
  let moment = 0;
  const { store, redis, close } = await openStore(redisUrl, () => (startedMs + moment * MOMENT_MS) * 1000);
  const known = new LimitKeys();
  const sizes = requests ? [requests] : Object.values(requestsOfTier);
  const rules = sizes.map((size) => ruleOf([plan ? limitsOfPlan.standard : { ...postTier, requests: size }]));
  const all = Array.from({ length: triples }, (_, i) => {
    const app = known.of(`app_bench${i}`);
    const size = sizes[i % sizes.length];
    return {
      rule: rules[i % sizes.length],
      key: plan ? app.plan : app.window(workspaceId(i), postPath),
      left: plan ? 1 : (requests ?? Math.ceil(Math.random() * size)),
    };
  });
  const memory = async () => Number(/used_memory:(\d+)/.exec(await redis.commands.info('memory'))?.[1]);
  await redis.commands.flushall();
  const before = await memory();
  return {
    /** All of them: at each moment of a window those whose turn it is. */
    async operate() {
      for (moment = 0; moment < MOMENTS; moment++) {
        // Drawn so that each has been asked as often as it should in the end, at moments as random as a caller's.
        const asked = all.filter(({ left }) => Math.random() * (MOMENTS - moment) < left);
        const decisions = await Promise.all(asked.map(({ rule, key }) => store.decide(rule, [key], 1)));
        for (const one of asked) one.left--;
        if (!decisions.every(({ allowed }) => allowed)) throw new Error('a window was full too early');
      }
      return true;
    },
    summary: async () => ({ bytesEach: ((await memory()) - before) / triples, keys: await redis.commands.dbsize() }),
    close,
  };
}

/** @template Result @param {string} url @param {(client: pg.Client) => Promise<Result>} work */
async function connected(url, work) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
