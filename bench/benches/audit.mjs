// @ts-check
/**
 * Verifying an audit log of 1,000,000 entries, beside a bare chain of SHA-256 over the same bytes in memory; and appending to one chain from
 * 32 requests at once, beside pgbench with one row a transaction and no chain.
 * Goals: ≥ 200,000 entries verified a second; an append is not serialised by its chain: ≥ 1 × pgbench.
 */
import { fileURLToPath } from 'node:url';
import { inTurn, ratio, sample, Void } from '../measure.mjs';
import { auditLogin, forgetChains, lengthOf } from '../ours/audit.mjs';
import { startOurs } from '../ours/server.mjs';
import { findPgbench, pgbench } from '../pgbench.mjs';
import { runScript, startGround } from '../servers.mjs';

const ENTRIES = 1_000_000;
const QUICK_ENTRIES = 50_000;
const VERIFY_GOAL = 200_000;
const APPEND_GOAL = 1;
const CLIENTS = 32;
/** Room between the numbers of pgbench's clients. */
const STRIDE = 1_000_000;
const PREFIX = 'practice_bench_';
const SCRIPT = fileURLToPath(new URL('../ours/audit.sql', import.meta.url));

/** @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Report>} */
export default async function audit(options) {
  if (options.peersOnly) throw new Error('the peer works on the tables of Gatehouse, so there is no --peers here');
  findPgbench();
  const ground = await startGround({ postgres: true });
  await (await startOurs({ dataDir: ground.dataDir })).stop(); // it lays the tables
  const { postgresUrl } = ground;
  const url = await auditLogin(postgresUrl);
  await forgetChains(postgresUrl, PREFIX);
  const rows = [await appends(options, postgresUrl, url), await verifications(options, postgresUrl, url)];
  await forgetChains(postgresUrl, PREFIX);
  await ground.stop();
  return { rows, notes: ['every chain that was appended to was verified, and is as long as what was acknowledged'] };
}

/** @param {Record<string, unknown>} job @returns {Promise<import('../micro.mjs').MicroResult & { summary: any }>} */
const ours = (job) =>
  runScript('micro.mjs', { module: new URL('../ours/audit.mjs', import.meta.url).href, ...job }, { place: 'server' });

/** @param {import('../measure.mjs').Options} options @param {string} postgresUrl @param {URL} url @returns {Promise<import('../report.mjs').Row>} */
async function appends({ rounds, seconds, warmupSeconds }, postgresUrl, url) {
  const subjects = [{ name: 'ours' }, { name: 'pgbench' }];
  let base = 0;
  const results = await inTurn(rounds, subjects, async ({ name }, round) => {
    if (name === 'pgbench') {
      base += CLIENTS * STRIDE;
      const run = { script: SCRIPT, url, clients: CLIENTS };
      if (warmupSeconds > 0)
        await pgbench({ ...run, seconds: warmupSeconds, variables: { base, stride: STRIDE, i: STRIDE / 2 } });
      return (await pgbench({ ...run, seconds, variables: { base, stride: STRIDE, i: 0 } })).perSecond;
    }
    const practice = `${PREFIX}append_${round}`;
    const config = { task: 'append', url: url.href, practice };
    const run = await ours({ config, mode: 'in flight', inFlight: CLIENTS, warmupSeconds, seconds });
    const length = await lengthOf(postgresUrl, practice);
    const { summary } = await ours({ config: { ...config, task: 'verify' }, mode: 'race', calls: 1, startAt: 0 });
    if (length !== run.summary.appended || summary.entries !== length || summary.faults.length > 0)
      throw new Void(`appended ${run.summary.appended}, there are ${length}, verified ${JSON.stringify(summary)}`);
    return run.perSecond;
  });
  const [mine, theirs] = [sample(results.get('ours') ?? []), sample(results.get('pgbench') ?? [])];
  const times = ratio(mine, theirs);
  return {
    what: `appends to one chain, ${CLIENTS} at once`,
    unit: '/s',
    ours: mine,
    peer: 'pgbench, one row a transaction',
    theirs,
    ratio: times,
    goal: `≥ ${APPEND_GOAL} ×`,
    met: times >= APPEND_GOAL,
  };
}

/** @param {import('../measure.mjs').Options} options @param {string} postgresUrl @param {URL} url @returns {Promise<import('../report.mjs').Row>} */
async function verifications({ rounds, million }, postgresUrl, url) {
  const entries = million ? ENTRIES : QUICK_ENTRIES;
  const config = { url: url.href, practice: `${PREFIX}verify`, entries };
  const once = { mode: 'race', calls: 1, startAt: 0 };
  await ours({ config: { ...config, task: 'fill' }, ...once });
  const results = await inTurn(rounds, [{ name: 'ours' }, { name: 'bare' }], async ({ name }) => {
    if (name === 'bare') {
      const module = new URL('../peers/audit.mjs', import.meta.url).href;
      const { seconds } = await runScript('micro.mjs', { module, config, ...once }, { place: 'server' });
      return entries / seconds;
    }
    const { seconds, summary } = await ours({ config: { ...config, task: 'verify' }, ...once });
    if (summary.entries !== entries || summary.faults.length > 0) throw new Void(JSON.stringify(summary));
    return entries / seconds;
  });
  const [mine, theirs] = [sample(results.get('ours') ?? []), sample(results.get('bare') ?? [])];
  return {
    what: `entries verified, of ${entries.toLocaleString('en-GB')}`,
    unit: '/s',
    ours: mine,
    peer: 'SHA-256 chain in memory',
    theirs,
    ratio: ratio(mine, theirs),
    goal: `≥ ${VERIFY_GOAL.toLocaleString('en-GB')} /s`,
    met: mine.median >= VERIFY_GOAL,
  };
}
