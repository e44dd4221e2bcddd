// @ts-check
/**
 * `chat.postMessage` through the whole pipeline, durable before the answer, beside a bare insert by pgbench; what a refused
 * request costs the process; what an active (app, workspace, method) costs Redis; and what one app's flood does to another app.
 * Goals: ≥ 0.5 × pgbench; ≤ 20 µs; ≤ 200 bytes; p99 < 1.1 × without the flood.
 */
import { fileURLToPath } from 'node:url';
import { inTurn, load, ratio, ratioOfP99, sample, Void } from '../measure.mjs';
import { botClaims, channelId, countMessages, seedWorkspaces, WORKSPACES } from '../ours/messaging.mjs';
import { startOurs } from '../ours/server.mjs';
import { findPgbench, pgbench } from '../pgbench.mjs';
import { runScript, startGround } from '../servers.mjs';

const POST_GOAL = 0.5;
const REFUSED_GOAL_US = 20;
const BYTES_GOAL = 200;
const NEIGHBOUR_GOAL = 1.1;
const CLIENTS = 32;
/** The middle between two sizes of the hash tables in Redis, so that they are filled as they are on average. */
const TRIPLES = 12_288;
/** The plan `standard` grants 20 a second. */
const FLOOD_PER_SECOND = 20 * 20;
const NEIGHBOUR_PER_SECOND = 200;
/** So many pairs of runs for each round asked for, each as short as this: the machine is the same for both of a pair. */
const NEIGHBOUR_PAIRS = 8;
const NEIGHBOUR_SHARE = 0.6;
const SCRIPT = fileURLToPath(new URL('../ours/messaging.sql', import.meta.url));
const MODULE = new URL('../ours/messaging.mjs', import.meta.url).href;

/** @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Report>} */
export default async function messaging(options) {
  if (options.peersOnly) throw new Error('the peer works on the tables of Gatehouse, so there is no --peers here');
  findPgbench();
  const ground = await startGround({ postgres: true });
  const rows = [await posts(ground, options), ...(await refused(ground, options)), ...(await bytes(ground))];
  rows.push(await neighbour(ground, options));
  await ground.stop();
  return { rows, notes: ['every run of posts: answers = messages in the table'] };
}

/** @typedef {Awaited<ReturnType<typeof startGround>>} Ground @typedef {Awaited<ReturnType<typeof startOurs>>} Ours */

/** @param {Ours} ours @param {(n: number) => import('../http.mjs').Request} requestOf */
async function requestsOfAll(ours, requestOf) {
  const requests = [];
  // One after the other: signing all tokens at once is a flood, and would be treated as one.
  for (let n = 0; n < WORKSPACES; n++) {
    const headers = { Authorization: `Bearer ${await ours.token(botClaims(n))}` };
    requests.push({ ...requestOf(n), headers });
  }
  return requests;
}

const post = (/** @type {number} */ n) => ({
  method: 'POST',
  path: '/api/chat.postMessage',
  body: { channel: channelId(n), text: 'Hello from the bench' },
});

/** @param {Ground} ground @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Row>} */
async function posts({ dataDir, postgresUrl }, { rounds, seconds, warmupSeconds }) {
  // Every limit is decided and counted; at this rate each of them would be reached, and a refusal is not the question.
  const ours = await startOurs({ dataDir, env: { THROTTLE_MODE: 'shadow' } });
  await seedWorkspaces(postgresUrl);
  const requests = await requestsOfAll(ours, post);
  let base = Date.now() * 1000;
  const results = await inTurn(rounds, [{ name: 'ours' }, { name: 'pgbench' }], async ({ name }) => {
    if (name === 'pgbench') {
      const run = { script: SCRIPT, url: new URL(postgresUrl), clients: CLIENTS };
      const bare = async (/** @type {number} */ length) => {
        base += CLIENTS * 100_000_000;
        return pgbench({ ...run, seconds: length, variables: { base, i: 0 } });
      };
      if (warmupSeconds > 0) await bare(warmupSeconds);
      return (await bare(seconds)).perSecond;
    }
    const before = await countMessages(postgresUrl);
    const target = {
      host: ours.host,
      port: ours.port,
      connections: CLIENTS,
      workload: 'fixed.mjs',
      args: { requests },
    };
    const run = await load({ ...target, mode: 'closed', warmupSeconds, seconds }, { expect: [200] });
    const posted = (await countMessages(postgresUrl)) - before;
    if (posted !== run.answered) throw new Void(`${run.answered} posts were answered, and the table holds ${posted}`);
    return run.perSecond;
  });
  await ours.stop();
  const [mine, theirs] = [sample(results.get('ours') ?? []), sample(results.get('pgbench') ?? [])];
  const times = ratio(mine, theirs);
  return {
    what: `chat.postMessage, ${CLIENTS} clients`,
    unit: '/s',
    ours: mine,
    peer: 'pgbench, a bare insert',
    theirs,
    ratio: times,
    goal: `≥ ${POST_GOAL} ×`,
    met: times >= POST_GOAL,
  };
}

/** @param {Ground} ground @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Row[]>} */
async function refused({ redisUrl }, { rounds, seconds, warmupSeconds }) {
  const subjects = [
    { name: 'the decision alone', guard: false },
    { name: 'through the guard: decision, headers, counters, refusal', guard: true },
  ];
  const timed = await inTurn(rounds, subjects, async ({ guard }) => {
    const job = { module: MODULE, config: { redisUrl, guard }, mode: 'serial', warmupSeconds, seconds };
    return 1e6 / (await runScript('micro.mjs', job, { place: 'server' })).perSecond;
  });
  return subjects.map(({ name }) => {
    const ours = sample(timed.get(name) ?? []);
    return {
      what: `a refused request in the process, ${name}`,
      unit: 'µs',
      ours,
      peer: '',
      theirs: null,
      ratio: null,
      goal: `≤ ${REFUSED_GOAL_US} µs`,
      met: ours.median <= REFUSED_GOAL_US,
    };
  });
}

/** @param {Ground} ground @returns {Promise<import('../report.mjs').Row[]>} */
async function bytes({ redisUrl }) {
  const rows = [];
  for (const [what, filling] of /** @type {const} */ ([
    ['an (app, workspace, method), of all tiers alike, any number in the window', {}],
    ['one with 20 of 20 in its window', { requests: 20 }],
    ['one with 50 of 50', { requests: 50 }],
    ['one with 100 of 100', { requests: 100 }],
    ['the plan of an app, once for all that it does', { plan: true }],
  ])) {
    const bytesEach = await filled({ redisUrl, triples: TRIPLES, ...filling });
    const isPlan = 'plan' in filling;
    rows.push({
      what: `Redis, for ${what}`,
      unit: 'bytes',
      ours: sample([bytesEach]),
      peer: '',
      theirs: null,
      ratio: null,
      goal: isPlan ? 'none' : `≤ ${BYTES_GOAL}`,
      met: isPlan ? null : bytesEach <= BYTES_GOAL,
    });
  }
  return rows;
}

/** @param {object} config @returns {Promise<number>} bytes for each */
async function filled(config) {
  const job = { module: MODULE, config, mode: 'race', calls: 1 };
  const { summary } = await runScript('micro.mjs', job, { place: 'server' });
  const { bytesEach, keys } = /** @type {{ bytesEach: number, keys: number }} */ (summary);
  if (keys < TRIPLES) throw new Void(`Redis holds ${keys} keys of ${TRIPLES}`);
  return bytesEach;
}

/** @param {Ground} ground @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Row>} */
async function neighbour({ dataDir }, options) {
  const ours = await startOurs({ dataDir });
  const { host, port } = ours;
  const [seconds, warmupSeconds] = [options.seconds * NEIGHBOUR_SHARE, options.warmupSeconds / 4];
  const target = { host, port, connections: CLIENTS, mode: /** @type {const} */ ('open'), workload: 'fixed.mjs' };
  const requests = await requestsOfAll(ours, (n) => ({ path: `/api/conversations.history?channel=${channelId(n)}` }));
  const rude = await ours.token({ ...botClaims(0), client_id: 'app_rude', usage_plan: 'standard' });
  const flood = { ...post(0), headers: { Authorization: `Bearer ${rude}` } };
  const polite = async () => {
    const run = {
      ...target,
      ratePerSecond: NEIGHBOUR_PER_SECOND,
      warmupSeconds,
      seconds,
      keep: true,
      args: { requests },
    };
    return (await load(run, { expect: [200] })).latencies ?? [];
  };
  const measure = async (/** @type {{ name: string }} */ { name }) => {
    if (name === 'alone') return polite();
    const length = warmupSeconds + seconds;
    const run = { ...target, ratePerSecond: FLOOD_PER_SECOND, whenBusy: /** @type {const} */ ('drop') };
    const flooding = load(
      { ...run, warmupSeconds: 0, seconds: length, args: { requests: [flood] } },
      { expect: [200, 429] },
    );
    const [latencies, { statuses }] = await Promise.all([polite(), flooding]);
    if (!(statuses[429] > 0.9 * FLOOD_PER_SECOND * seconds))
      throw new Void(`this was no flood: ${JSON.stringify(statuses)}`);
    return latencies;
  };
  // A process just started compiles what it runs often: the first pairs are to warm it up, and not counted.
  const subjects = [{ name: 'flooded' }, { name: 'alone' }];
  await inTurn(3, subjects, measure);
  const results = await inTurn(options.rounds * NEIGHBOUR_PAIRS, subjects, measure);
  await ours.stop();
  const p99 = ratioOfP99(results.get('flooded') ?? [], results.get('alone') ?? []);
  return {
    what: `another app’s reading at ${NEIGHBOUR_PER_SECOND}/s, while one app sends ${FLOOD_PER_SECOND}/s: p99`,
    unit: 'ms',
    ours: sample([p99.ours]),
    peer: 'without the flood',
    theirs: sample([p99.theirs]),
    ratio: p99.ratio,
    goal: `< ${NEIGHBOUR_GOAL} ×`,
    met: p99.ratio < NEIGHBOUR_GOAL,
    note: `all runs together, 95 % of draws between ${p99.from.toFixed(2)} and ${p99.to.toFixed(2)}`,
  };
}
