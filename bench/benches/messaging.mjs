// @ts-check
/**
 * `chat.postMessage` through the whole pipeline, durable before the answer, beside a bare insert by pgbench; what a refused
 * request costs the process; what an active (app, workspace, method) costs Redis; and what one app's flood does to another app.
 * Goals: ≥ 0.5 × pgbench; ≤ 20 µs; ≤ 200 bytes; p99 < 1.1 × without the flood.
 */
import { fileURLToPath } from 'node:url';
import { inTurn, load, ratio, sample, Void } from '../measure.mjs';
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
const TRIPLES = 24_576;
const POSTS_A_WINDOW = 20;
/** The plan `standard` grants 20 a second. */
const FLOOD_PER_SECOND = 20 * 20;
const NEIGHBOUR_PER_SECOND = 200;
/** So many pairs of runs for each round asked for: one run's p99 is of ten requests, and one stall of the machine makes it. */
const NEIGHBOUR_PAIRS = 4;
const SCRIPT = fileURLToPath(new URL('../ours/messaging.sql', import.meta.url));
const MODULE = new URL('../ours/messaging.mjs', import.meta.url).href;

/** @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Report>} */
export default async function messaging(options) {
  if (options.peersOnly) throw new Error('the peer works on the tables of Gatehouse, so there is no --peers here');
  findPgbench();
  const ground = await startGround({ postgres: true });
  const rows = [await posts(ground, options), await refused(ground, options), ...(await bytes(ground))];
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

/** @param {Ground} ground @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Row>} */
async function refused({ redisUrl }, { rounds, seconds, warmupSeconds }) {
  const times = [];
  for (let round = 0; round < rounds; round++) {
    const job = { module: MODULE, config: { redisUrl }, mode: 'serial', warmupSeconds, seconds };
    times.push(1e6 / (await runScript('micro.mjs', job, { place: 'server' })).perSecond);
  }
  const ours = sample(times);
  return {
    what: 'the decision on a refused request, in the process',
    unit: 'µs',
    ours,
    peer: '',
    theirs: null,
    ratio: null,
    goal: `≤ ${REFUSED_GOAL_US} µs`,
    met: ours.median <= REFUSED_GOAL_US,
  };
}

/** @param {Ground} ground @returns {Promise<import('../report.mjs').Row[]>} */
async function bytes({ redisUrl }) {
  const rows = [];
  for (const used of [1, POSTS_A_WINDOW]) {
    const config = { redisUrl, triples: TRIPLES, posts: used };
    const job = { module: MODULE, config, mode: 'race', calls: TRIPLES };
    const { summary } = await runScript('micro.mjs', job, { place: 'server' });
    const { bytesEach, keys } = /** @type {{ bytesEach: number, keys: number }} */ (summary);
    if (keys < TRIPLES) throw new Void(`Redis holds ${keys} keys of ${TRIPLES}`);
    rows.push({
      what: `Redis, for an (app, workspace, method) with ${used} of ${POSTS_A_WINDOW} in its window`,
      unit: 'bytes',
      ours: sample([bytesEach]),
      peer: '',
      theirs: null,
      ratio: null,
      goal: `≤ ${BYTES_GOAL}`,
      met: bytesEach <= BYTES_GOAL,
    });
  }
  return rows;
}

/** @param {Ground} ground @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Row>} */
async function neighbour({ dataDir }, { rounds, seconds, warmupSeconds }) {
  const ours = await startOurs({ dataDir });
  const { host, port } = ours;
  const requests = await requestsOfAll(ours, (n) => ({ path: `/api/conversations.history?channel=${channelId(n)}` }));
  const rude = await ours.token({ ...botClaims(0), client_id: 'app_rude', usage_plan: 'standard' });
  const flood = { ...post(0), headers: { Authorization: `Bearer ${rude}` } };
  const polite = async () =>
    load(
      {
        host,
        port,
        connections: CLIENTS,
        mode: 'open',
        ratePerSecond: NEIGHBOUR_PER_SECOND,
        warmupSeconds,
        seconds,
        workload: 'fixed.mjs',
        args: { requests },
      },
      { expect: [200] },
    );
  const measure = async (/** @type {{ name: string }} */ { name }) => {
    if (name === 'alone') return (await polite()).latencyMs.p99;
    const flooding = load(
      {
        host,
        port,
        connections: CLIENTS,
        mode: 'open',
        ratePerSecond: FLOOD_PER_SECOND,
        whenBusy: 'drop',
        warmupSeconds: 0,
        seconds: warmupSeconds + seconds,
        workload: 'fixed.mjs',
        args: { requests: [flood] },
      },
      { expect: [200, 429] },
    );
    const [{ latencyMs }, { statuses }] = await Promise.all([polite(), flooding]);
    if (!(statuses[429] > 0.9 * FLOOD_PER_SECOND * seconds))
      throw new Void(`this was no flood: ${JSON.stringify(statuses)}`);
    return latencyMs.p99;
  };
  // A process just started compiles what it runs often: the first pair is to warm it up, and not counted.
  const subjects = [{ name: 'flooded' }, { name: 'alone' }];
  await inTurn(1, subjects, measure);
  const results = await inTurn(rounds * NEIGHBOUR_PAIRS, subjects, measure);
  await ours.stop();
  const [flooded, alone] = [sample(results.get('flooded') ?? []), sample(results.get('alone') ?? [])];
  const times = ratio(flooded, alone);
  return {
    what: `another app’s reading at ${NEIGHBOUR_PER_SECOND}/s, while one app sends ${FLOOD_PER_SECOND}/s: p99`,
    unit: 'ms',
    ours: flooded,
    peer: 'without the flood',
    theirs: alone,
    ratio: times,
    goal: `< ${NEIGHBOUR_GOAL} ×`,
    met: times < NEIGHBOUR_GOAL,
  };
}
