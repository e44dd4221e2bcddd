// @ts-check
/** Workspaces, their bots' claims and their messages, as the benches need them (migrations/…-AddMessaging.ts). */
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

const postTier = Object.freeze({ kind: 'window', name: 'chat.postMessage', requests: 20, windowMs: 60_000 });

/**
 * A decision on a post whose limit is used up, again and again; or, with `triples`, so many (app, workspace, method) that
 * are used, and what Redis needs for them.
 * @param {{ redisUrl: string, triples?: number, posts?: number }} config
 */
export async function create({ redisUrl, triples, posts = 1 }) {
  const [LimitKeys] = await exported('policy/throttling/limit-keys.js', 'LimitKeys');
  const [ruleOf] = await exported('policy/throttling/limits.js', 'ruleOf');
  const { store, redis, close } = await openStore(redisUrl);
  const rule = ruleOf([postTier]);
  const known = new LimitKeys();
  const keyOf = (/** @type {number} */ i) => known.of(`app_bench${i}`).window(workspaceId(i), 'chat.postMessage');
  if (triples === undefined) {
    const spent = [keyOf(Date.now())];
    while ((await store.decide(rule, spent, 1)).allowed);
    return { operate: () => store.decide(rule, spent, 1), close };
  }
  const used = async () => Number(/used_memory:(\d+)/.exec(await redis.commands.info('memory'))?.[1]);
  await redis.commands.flushall();
  const before = await used();
  return {
    operate: async (/** @type {number} */ i) => {
      if (i >= triples) return;
      for (let n = 0; n < posts; n++) await store.decide(rule, [keyOf(i)], 1);
    },
    summary: async () => ({
      bytesEach: ((await used()) - before) / triples,
      keys: await redis.commands.dbsize(),
    }),
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
