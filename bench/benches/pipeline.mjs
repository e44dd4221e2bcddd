// @ts-check
/**
 * `GET /me` through the whole pipeline of Gatehouse, beside (a) the same controller on bare Nest, (b) Nest as people build it and (c) two gateways for Node in front of bare `node:http`.
 * Goals: requests/s ≥ 1.5 × (a), ≥ 5 × (b), ≥ 3 × (c); p99 at 70 % of (a)'s maximum below (a)'s; resident memory after 1,000,000 requests < 200 MB.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { audience, claims, issuer, peerIssuer } from '../identity.mjs';
import { GENERATOR_LIMIT, inTurn, load, ratio, sample } from '../measure.mjs';
import { startOurs } from '../ours/server.mjs';
import { scratch } from '../places.mjs';
import { figure } from '../report.mjs';
import { startGround, startServer } from '../servers.mjs';

const PEERS = [
  { name: 'nest-bare', label: '(a) bare Nest', goal: 1.5 },
  { name: 'nest-as-built', label: '(b) Nest as built', goal: 5 },
  { name: 'express-gateway', label: '(c) express-gateway', goal: 3 },
  { name: 'fast-gateway', label: '(c) fast-gateway', goal: 3 },
];
const LOAD_SHARE = 0.7;
const MILLION = 1_000_000;
const RSS_GOAL_MB = 200;

/** @typedef {import('../servers.mjs').Server & { headers: Record<string, string> }} Subject */

/** @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Report>} */
export default async function pipeline(options) {
  /** @type {string[]} */
  const notes = [];
  const ground = await startGround({ postgres: !options.peersOnly });
  const ours = options.peersOnly ? undefined : await startOwn(ground);
  const answer = ours
    ? await (await fetch(`${ours.url}/me`, { headers: ours.headers })).text()
    : JSON.stringify(claims);
  const peers = await startPeers(ground, answer, notes);
  const subjects = ours ? [ours, ...peers] : peers;

  /** @param {Subject} subject @param {Partial<import('../load.mjs').Load>} how */
  const get = ({ host, port, headers }, how) =>
    load(
      {
        host,
        port,
        connections: options.connections,
        mode: 'closed',
        warmupSeconds: options.warmupSeconds,
        seconds: options.seconds,
        workload: 'fixed.mjs',
        args: { requests: [{ path: '/me', headers }] },
        ...how,
      },
      { expect: [200] },
    );

  const throughput = await inTurn(options.rounds, subjects, (subject) => get(subject, {}));
  const perSecond = samples(throughput, ({ perSecond }) => perSecond);
  for (const [name, results] of throughput) {
    const busy = sample(results.map(({ generatorBusy }) => generatorBusy)).median;
    if (busy > GENERATOR_LIMIT)
      notes.push(
        `the load generator was ${Math.round(busy * 100)} % busy with ${name}: that server can do more than is shown`,
      );
  }
  /** @type {import('../report.mjs').Row[]} */
  const rows = PEERS.map(({ name, label, goal }) => {
    const [mine, theirs] = [perSecond.get('ours') ?? null, perSecond.get(name) ?? null];
    const times = mine && theirs ? ratio(mine, theirs) : null;
    return {
      what: 'throughput',
      unit: 'requests/s',
      ours: mine,
      peer: label,
      theirs,
      ratio: times,
      goal: `≥ ${goal} ×`,
      met: times === null ? null : times >= goal,
    };
  });

  const bare = peers.find(({ name }) => name === 'nest-bare');
  const bareMaximum = perSecond.get('nest-bare')?.median;
  if (bare && bareMaximum) {
    const rate = bareMaximum * LOAD_SHARE;
    const latency = await inTurn(options.rounds, ours ? [ours, bare] : [bare], (subject) =>
      get(subject, { mode: 'open', ratePerSecond: rate }),
    );
    for (const share of /** @type {const} */ (['p50', 'p99'])) {
      const values = samples(latency, ({ latencyMs }) => latencyMs[share]);
      const [mine, theirs] = [values.get('ours') ?? null, values.get('nest-bare') ?? null];
      const times = mine && theirs ? ratio(mine, theirs) : null;
      rows.push({
        what: `${share} at ${figure(rate)}/s (70 % of (a))`,
        unit: 'ms',
        ours: mine,
        peer: '(a) bare Nest',
        theirs,
        ratio: times,
        goal: share === 'p99' ? '< 1 ×' : '',
        met: share === 'p99' && times !== null ? times < 1 : null,
      });
    }
  }

  if (ours && options.million) {
    await get(ours, { requests: MILLION, warmupSeconds: 0 });
    const megabytes = sample([ours.rssBytes() / 1e6]);
    rows.push({
      what: 'memory after 1,000,000 requests more',
      unit: 'MB',
      ours: megabytes,
      peer: '',
      theirs: null,
      ratio: null,
      goal: `< ${RSS_GOAL_MB} MB`,
      met: megabytes.median < RSS_GOAL_MB,
    });
  }
  await Promise.all(subjects.map((subject) => subject.stop()));
  await ground.stop();
  return { rows, notes, detail: { throughput: Object.fromEntries(throughput) } };
}

/** @param {import('../servers.mjs').Ground} ground @returns {Promise<Subject>} */
async function startOwn({ dataDir }) {
  const server = await startOurs({ dataDir });
  return { ...server, headers: { Authorization: `Bearer ${await server.token(claims)}` } };
}

/** @param {import('../servers.mjs').Ground} ground @param {string} answer @param {string[]} notes @returns {Promise<Subject[]>} */
async function startPeers({ redisUrl }, answer, notes) {
  const { publicKeyPem, token } = peerIssuer();
  const headers = { Authorization: `Bearer ${await token()}` };
  const script = (/** @type {string} */ name) => [fileURLToPath(new URL(`../peers/${name}.mjs`, import.meta.url))];
  const upstream = await startServer({
    name: 'upstream',
    args: script('upstream'),
    env: { BENCH_ANSWER: answer },
    place: 'ground',
  });
  const env = {
    NODE_ENV: 'production',
    BENCH_ANSWER: answer,
    BENCH_PUBLIC_KEY: publicKeyPem,
    BENCH_ISSUER: issuer,
    BENCH_AUDIENCE: audience,
    BENCH_UPSTREAM: upstream.url,
    BENCH_FOLDER: join(scratch, 'express-gateway'),
    REDIS_URL: redisUrl,
  };
  const started = [];
  for (const { name, label } of PEERS) {
    try {
      started.push({
        ...(await startServer({
          name,
          args: script(name),
          env,
          readyPath: '/me',
          readyHeaders: headers,
          readyWithinSeconds: 20,
        })),
        headers,
      });
    } catch (error) {
      notes.push(
        `${label} could not be started on ${process.version}, and is not in the table: ${error instanceof Error ? error.message : error}`,
      );
    }
  }
  return started;
}

/** @template Result @param {Map<string, Result[]>} results @param {(result: Result) => number} value */
function samples(results, value) {
  return new Map([...results].map(([name, list]) => [name, sample(list.map(value))]));
}
