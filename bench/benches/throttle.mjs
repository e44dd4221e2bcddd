// @ts-check
/**
 * One decision on tier, plan rate and quota at 64 in flight, beside rate-limiter-flexible, the scripts of @upstash/ratelimit and one bare `INCR`, all through ioredis without auto-pipelining;
 * then 4 processes at one limit of 20.
 * Goals: ≥ 0.7 × bare `INCR`; never one request too many.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTurn, ratio, sample, Void } from '../measure.mjs';
import { runScript, startGround } from '../servers.mjs';

const PEERS = ['bare INCR', 'rate-limiter-flexible', '@upstash/ratelimit'];
const GOAL = 0.7;
const IN_FLIGHT = 64;
/** A real tier (100 a minute) is never reached: enough callers take turns. */
const CALLERS = 40_000;
const TIER = { limit: 100, windowSeconds: 60 };
const PLAN = { burst: 1_000_000, perSecond: 1_000_000, perDay: 1_000_000_000 };
const PROCESSES = 4;
const CALLS_PER_PROCESS = 200;
const LIMIT = 20;

/** @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Report>} */
export default async function throttle(options) {
  const ground = await startGround();
  const { redisUrl } = ground;
  const subjects = [...(options.peersOnly ? [] : [{ name: 'ours' }]), ...PEERS.map((name) => ({ name }))];
  /** @param {string} name @param {object} job @param {object} config @param {import('../places.mjs').Place} place @returns {Promise<import('../micro.mjs').MicroResult>} */
  const run = async (name, job, config, place) => {
    const module = new URL(name === 'ours' ? '../ours/throttle.mjs' : '../peers/throttle.mjs', import.meta.url).href;
    /** @type {import('../micro.mjs').MicroResult & { summary?: { decidedLocally: number } }} */
    const result = await runScript(
      'micro.mjs',
      { module, config: { redisUrl, library: name, prefix: `${randomUUID()}:`, ...config }, ...job },
      { place },
    );
    if (result.summary?.decidedLocally)
      throw new Void(`${name} decided ${result.summary.decidedLocally} without Redis`);
    return result;
  };

  const speed = await inTurn(options.rounds, subjects, ({ name }) =>
    run(
      name,
      { mode: 'in flight', inFlight: IN_FLIGHT, warmupSeconds: options.warmupSeconds, seconds: options.seconds },
      {
        keys: CALLERS,
        tier: TIER,
        plan: PLAN,
      },
      'server',
    ),
  );
  for (const [name, results] of speed) {
    const refused = results.reduce((sum, { operations, passed }) => sum + operations - passed, 0);
    if (refused > 0) throw new Void(`${name} refused ${refused} requests far below its limit`);
  }
  const perSecond = new Map([...speed].map(([name, list]) => [name, sample(list.map(({ perSecond }) => perSecond))]));
  const ours = perSecond.get('ours') ?? null;
  /** @type {import('../report.mjs').Row[]} */
  const rows = PEERS.map((name, i) => {
    const theirs = /** @type {import('../measure.mjs').Sample} */ (perSecond.get(name));
    const times = ours && ratio(ours, theirs);
    return {
      what: 'decisions',
      unit: '/s',
      ours,
      peer: name,
      theirs,
      ratio: times,
      goal: i === 0 ? `≥ ${GOAL} ×` : '',
      met: i === 0 && times !== null ? times >= GOAL : null,
    };
  });

  const limiters = subjects.filter(({ name }) => name !== 'bare INCR');
  const passed = await inTurn(options.rounds, limiters, async ({ name }) => {
    await awayFromTheMinutesEnd();
    const prefix = `${randomUUID()}:`;
    const startAt = Date.now() + 1500;
    const config = {
      prefix,
      keys: 1,
      tier: { limit: LIMIT, windowSeconds: 60 },
      plan: PLAN,
    };
    const racers = await Promise.all(
      Array.from({ length: PROCESSES }, () =>
        run(name, { mode: 'race', calls: CALLS_PER_PROCESS, startAt }, config, 'load'),
      ),
    );
    return racers.reduce((sum, racer) => sum + racer.passed, 0);
  });
  const exact = new Map([...passed].map(([name, list]) => [name, sample(list)]));
  const oursExact = exact.get('ours') ?? null;
  for (const name of PEERS.slice(1)) {
    rows.push({
      what: `passed of ${PROCESSES} × ${CALLS_PER_PROCESS} at a limit of ${LIMIT}`,
      unit: 'requests',
      ours: oursExact,
      peer: name,
      theirs: exact.get(name) ?? null,
      ratio: null,
      goal: `${LIMIT}`,
      met: oursExact && oursExact.values.every((count) => count === LIMIT),
    });
  }
  await ground.stop();
  return { rows, notes: [], detail: { speed: Object.fromEntries(speed), passed: Object.fromEntries(passed) } };
}

/** A window that is aligned to the clock may end during a race; then twice the limit would be right. */
async function awayFromTheMinutesEnd() {
  const left = 60_000 - (Date.now() % 60_000);
  if (left < 8000) await sleep(left + 50);
}
