// @ts-check
/**
 * `GET /patients/{id}` with all walls and its audit entry durable before the answer, beside pgbench running the same statements (tenant setting,
 * select, audit insert, commit) with as many clients; lists and searches over 1,000,000 patients in 500 practices, beside
 * pgbench at the same rate; and what row-level security costs the same statements.
 * Goals: ≥ 0.5 × pgbench; p99 ≤ 20 ms at 70 % load; row-level security ≤ 1.1 ×.
 */
import { join } from 'node:path';
import { claims } from '../identity.mjs';
import { inTurn, load, ratio, sample } from '../measure.mjs';
import {
  patientId,
  practiceId,
  PRACTICES,
  readerLogins,
  searches,
  seedPatients,
  writeScript,
} from '../ours/patients.mjs';
import { startOurs } from '../ours/server.mjs';
import { scratch } from '../places.mjs';
import { findPgbench, pgbench, pgbenchP99, signedTenant } from '../pgbench.mjs';
import { runScript, startGround } from '../servers.mjs';

const READ_GOAL = 0.5;
const P99_GOAL_MS = 20;
const SECURITY_GOAL = 1.1;
const LOAD_SHARE = 0.7;
const CLIENTS = 32;
/** Of pgbench beside lists and searches: with 32 it is later. */
const PEER_CLIENTS = 8;
const PER_PRACTICE = 2000;
/** Enough for everybody who is searched for. */
const QUICK_PER_PRACTICE = 200;
/** Room between the numbers of pgbench's clients. */
const STRIDE = 1_000_000;
const MODULE = new URL('../ours/patients.mjs', import.meta.url).href;

/** @param {Awaited<ReturnType<typeof startOurs>>} ours @param {number} practice */
const headersOf = async (ours, practice) => ({
  Authorization: `Bearer ${await ours.token({ ...claims, practice_id: practiceId(practice) })}`,
});

/** @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Report>} */
export default async function patients(options) {
  if (options.peersOnly) throw new Error('the peer works on the tables of Gatehouse, so there is no --peers here');
  findPgbench();
  const ground = await startGround({ postgres: true });
  const { postgresUrl } = ground;
  const ours = await startOurs({ dataDir: ground.dataDir }); // it lays the tables, too
  const perPractice = options.million ? PER_PRACTICE : QUICK_PER_PRACTICE;
  await seedPatients(postgresUrl, perPractice);
  const { reader: url, bypassing } = await readerLogins(postgresUrl);
  const { host, port } = ours;
  const { rounds, seconds, warmupSeconds } = options;
  const own = await headersOf(ours, 0);
  const reads = Array.from({ length: 500 }, (_, n) => ({
    path: `/patients/${patientId(0, n % perPractice)}`,
    headers: own,
  }));
  let base = Date.now() % 1_000_000_000;
  const script = join(scratch, 'one.sql');
  await writeScript('one', script);
  const results = await inTurn(rounds, [{ name: 'ours' }, { name: 'pgbench' }], async ({ name }) => {
    if (name === 'pgbench') {
      const run = { script, url, clients: CLIENTS };
      const variables = { tenant: await signedTenant(postgresUrl, practiceId(0)), stride: STRIDE };
      base += CLIENTS * STRIDE;
      if (warmupSeconds > 0)
        await pgbench({ ...run, seconds: warmupSeconds, variables: { ...variables, base, i: STRIDE / 2 } });
      return (await pgbench({ ...run, seconds, variables: { ...variables, base, i: 0 } })).perSecond;
    }
    const target = { host, port, connections: CLIENTS, workload: 'fixed.mjs', args: { requests: reads } };
    return (await load({ ...target, mode: 'closed', warmupSeconds, seconds }, { expect: [200] })).perSecond;
  });
  const [mine, theirs] = [sample(results.get('ours') ?? []), sample(results.get('pgbench') ?? [])];
  const times = ratio(mine, theirs);
  /** @type {import('../report.mjs').Row[]} */
  const rows = [
    {
      what: `GET /patients/{id}, audited, ${CLIENTS} clients`,
      unit: '/s',
      ours: mine,
      peer: 'pgbench, same statements',
      theirs,
      ratio: times,
      goal: `≥ ${READ_GOAL} ×`,
      met: times >= READ_GOAL,
    },
  ];

  for (const statement of ['one', 'list', 'search']) {
    const subjects = [
      { name: 'secured', url: url.href },
      { name: 'bypassing', url: bypassing.href },
    ];
    const timed = await inTurn(rounds, subjects, async (subject) => {
      const job = { module: MODULE, config: { url: subject.url, statement }, mode: 'serial', warmupSeconds, seconds };
      return 1e6 / (await runScript('micro.mjs', job, { place: 'server' })).perSecond;
    });
    const [secured, without] = [sample(timed.get('secured') ?? []), sample(timed.get('bypassing') ?? [])];
    const cost = ratio(secured, without);
    rows.push({
      what: `statement “${statement}” under row-level security`,
      unit: 'µs',
      ours: secured,
      peer: 'without it',
      theirs: without,
      ratio: cost,
      goal: `≤ ${SECURITY_GOAL} ×`,
      met: cost <= SECURITY_GOAL,
    });
  }
  await ours.stop();
  await ground.stop();

  // Server and database have each a good part of this work: on cores of its own one of them would wait for work while the
  // other is late with it.
  const free = await startGround({ postgres: true, everyCore: true });
  const everywhere = await startOurs({ dataDir: free.dataDir, everyCore: true });
  const { reader: freeUrl } = await readerLogins(free.postgresUrl);
  const listed = await pages(options, everywhere, freeUrl, perPractice);
  await everywhere.stop();
  await free.stop();
  return {
    rows: [...rows, ...listed.rows],
    notes: [
      'lists and searches: server, Postgres, Redis and load generator on every core, as the kernel puts them',
      ...listed.notes,
    ],
  };
}

/**
 * @param {import('../measure.mjs').Options} options @param {Awaited<ReturnType<typeof startOurs>>} ours
 * @param {URL} url of a login for pgbench @param {number} perPractice
 * @returns {Promise<{ rows: import('../report.mjs').Row[], notes: string[] }>}
 */
async function pages({ rounds, seconds, warmupSeconds }, ours, url, perPractice) {
  /** @type {import('../report.mjs').Row[]} */
  const rows = [];
  /** @type {string[]} */
  const notes = [];
  const everybody = [];
  let base = Date.now() % 1_000_000_000;
  // One after the other: signing 500 tokens at once is a flood, and would be treated as one.
  for (let practice = 0; practice < PRACTICES; practice++) everybody.push(await headersOf(ours, practice));
  for (const [what, statement, pathOf] of /** @type {const} */ ([
    ['lists', 'list', () => '/patients'],
    [
      'searches',
      'search',
      (/** @type {number} */ n) => `/patients?search=${encodeURIComponent(searches[n % searches.length])}`,
    ],
  ])) {
    const requests = everybody.map((headers, n) => ({ path: pathOf(n), headers }));
    for (const { path, headers } of requests.slice(0, searches.length)) {
      const found = /** @type {any} */ (
        await (await fetch(`http://${ours.host}:${ours.port}${path}`, { headers })).json()
      );
      if (!(found.data?.length > 0)) throw new Error(`Nobody is found by ${path}`);
    }
    const target = {
      host: ours.host,
      port: ours.port,
      place: /** @type {const} */ ('every'),
      connections: CLIENTS,
      workload: 'fixed.mjs',
      args: { requests },
    };
    const script = join(scratch, `${statement}.sql`);
    await writeScript(statement, script);
    const openly = async (/** @type {number} */ ratePerSecond) =>
      load({ ...target, ratePerSecond, mode: 'open', warmupSeconds, seconds }, { expect: [200] });
    const most = (await load({ ...target, mode: 'closed', warmupSeconds, seconds }, { expect: [200] })).perSecond;
    // 70 % of what it can do, and what keeps the machine busy for 70 % of the time. Closed, requests share turns,
    // messages and commits, so that the first is the more by far.
    for (const [share, ratePerSecond] of /** @type {const} */ ([
      [`${LOAD_SHARE * 100} % of ${Math.round(most)}/s`, Math.round(most * LOAD_SHARE)],
      [undefined, await rateOf(LOAD_SHARE, most / 2, openly)],
    ])) {
      /** @type {number[]} */
      const busy = [];
      const results = await inTurn(rounds, [{ name: 'ours' }, { name: 'pgbench' }], async ({ name }) => {
        if (name === 'ours') {
          const { latencyMs, machineBusy } = await openly(ratePerSecond);
          busy.push(machineBusy);
          return latencyMs.p99;
        }
        base += PEER_CLIENTS * STRIDE;
        const variables = { base, stride: STRIDE, i: 0 };
        const run = { ratePerSecond, warmupSeconds, seconds, script, url, clients: PEER_CLIENTS, variables };
        const { p99, kept } = await pgbenchP99(run);
        if (kept < 0.9) notes.push(`${what}, ${ratePerSecond}/s: pgbench made ${Math.round(kept * 100)} % of them`);
        return p99;
      });
      const [late, theirs] = [sample(results.get('ours') ?? []), sample(results.get('pgbench') ?? [])];
      const percent = Math.round(sample(busy).median * 100);
      const where = share ?? `cores ${percent} % busy`;
      rows.push({
        what: `${what} over ${(PRACTICES * perPractice).toLocaleString('en')} patients, ${ratePerSecond}/s (${where}): p99`,
        unit: 'ms',
        ours: late,
        peer: `pgbench, same statements, ${PEER_CLIENTS} clients`,
        theirs,
        ratio: ratio(late, theirs),
        goal: `≤ ${P99_GOAL_MS} ms`,
        met: late.median <= P99_GOAL_MS,
      });
      notes.push(`${what}, ${ratePerSecond}/s: cores ${busy.map((part) => Math.round(part * 100)).join(', ')} % busy`);
    }
  }

  return { rows, notes };
}

/**
 * The rate at which the cores are busy for `share` of the time, within 2 of 100, or the one nearest to it of eight.
 * @param {number} share @param {number} first a rate to begin with @param {(rate: number) => Promise<{ machineBusy: number }>} run
 */
async function rateOf(share, first, run) {
  let rate = first;
  let nearest = { rate, off: Infinity };
  for (let step = 0; step < 8 && nearest.off > 0.02; step++) {
    const { machineBusy } = await run(Math.round(rate));
    const off = Math.abs(machineBusy - share);
    if (off < nearest.off) nearest = { rate, off };
    rate *= share / machineBusy;
  }
  return Math.round(nearest.rate);
}
