// @ts-check
/**
 * Bookings while the standard routes are flooded at 5 × what they can do, beside the same bookings alone.
 * Goals: no booking fails; p99 ≤ 3 × alone.
 */
import { claims } from '../identity.mjs';
import { load, ratio, sample, Void } from '../measure.mjs';
import { countBookings, seedBookings } from '../ours/bookings.mjs';
import { botClaims, channelId, seedWorkspaces } from '../ours/messaging.mjs';
import { startOurs } from '../ours/server.mjs';
import { figure } from '../report.mjs';
import { startGround } from '../servers.mjs';

const GOAL = 3;
const FLOOD = 5;
/** More than the standard class may have in work at once (`CONCURRENCY_TOTAL` less `CONCURRENCY_CRITICAL`), so that some of it has to be turned away. */
const FLOOD_CONNECTIONS = 900;
const FLOOD_LEAD_SECONDS = 1;
const BOOKINGS_PER_SECOND = 100;
const BOOKING_CONNECTIONS = 32;
/** Routes of the standard class; add the bulk ones when there are some. (`/slots` is of the critical class: a flood of it is not this question.) */
const FLOODED = ['/me', '/patients'];
/** Of messaging, each of so many apps floods its own window: most of it is refused by its limit. */
const FLOODING_APPS = 100;
const TURNED_AWAY = [429, 503];

/** @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Report>} */
export default async function starvation(options) {
  if (options.peersOnly) throw new Error('ours is measured beside itself, so there is no --peers here');
  const ground = await startGround({ postgres: true });
  const ours = await startOurs({ dataDir: ground.dataDir });
  const perRun = Math.ceil((options.warmupSeconds + options.seconds) * BOOKINGS_PER_SECOND) + 1;
  await seedBookings(ground.postgresUrl, 2 * (options.rounds + 1) * perRun);
  const { host, port } = ours;
  const token = await ours.token(claims);
  const floodHeaders = {
    Authorization: `Bearer ${await ours.token({ ...claims, sub: 'user_flood', client_id: 'client_flood' })}`,
  };
  const reads = FLOODED.map((path) => ({ path, headers: floodHeaders }));
  const posts = await postsOfApps(ours, ground.postgresUrl);
  const flood = {
    host,
    port,
    workload: 'fixed.mjs',
    args: { requests: posts.flatMap((post) => [...reads, post]) },
  };
  const { warmupSeconds, seconds } = options;

  let nextSlot = 0;
  let asked = 0;
  const book = async () => {
    const from = nextSlot;
    nextSlot += perRun;
    const run = await load({
      host,
      port,
      connections: BOOKING_CONNECTIONS,
      mode: 'open',
      ratePerSecond: BOOKINGS_PER_SECOND,
      warmupSeconds,
      seconds,
      workload: 'bookings.mjs',
      args: { token, from, to: nextSlot },
    });
    asked += run.sent;
    return run;
  };

  const capacity = (
    await load(
      { ...flood, connections: options.connections, mode: 'closed', warmupSeconds, seconds },
      { expect: [200, 429] },
    )
  ).perSecond;
  const alone = [],
    flooded = [],
    floods = [];
  // The first is to warm both up, and not counted.
  for (let round = 0; round <= options.rounds; round++) {
    alone.push(await book());
    const flooding = load({
      ...flood,
      connections: FLOOD_CONNECTIONS,
      mode: 'open',
      ratePerSecond: capacity * FLOOD,
      whenBusy: 'drop',
      warmupSeconds: FLOOD_LEAD_SECONDS,
      seconds: warmupSeconds + seconds,
    });
    const lead = new Promise((resolve) => setTimeout(resolve, FLOOD_LEAD_SECONDS * 1000));
    const [under, result] = await Promise.all([lead.then(book), flooding]);
    flooded.push(under);
    floods.push(result);
  }
  const [firstAlone] = alone.splice(0, 1);
  const [firstFlooded] = flooded.splice(0, 1);
  floods.splice(0, 1);
  const first = [firstFlooded, firstAlone].map((run) => figure(run?.latencyMs.p99 ?? NaN));

  const p99 = {
    alone: sample(alone.map(({ latencyMs }) => latencyMs.p99)),
    flooded: sample(flooded.map(({ latencyMs }) => latencyMs.p99)),
  };
  const booked = [firstAlone, firstFlooded, ...alone, ...flooded].reduce(
    (sum, run) => sum + (run?.statuses[201] ?? 0),
    0,
  );
  const { appointments, events } = await countBookings(ground.postgresUrl, 0, nextSlot);
  if (appointments < booked || events !== appointments)
    throw new Void(
      `${booked} bookings were answered 201, and the tables hold ${JSON.stringify({ appointments, events })}`,
    );
  const times = ratio(p99.flooded, p99.alone);
  const failures = (/** @type {import('../load.mjs').LoadResult[]} */ runs) =>
    sample(runs.map(({ sent, statuses }) => sent - (statuses[201] ?? 0)));
  const failed = { alone: failures(alone), flooded: failures(flooded) };
  const strange = floods
    .flatMap(({ statuses }) => Object.keys(statuses))
    .filter((status) => status !== '200' && !TURNED_AWAY.includes(Number(status)));
  await ours.stop();
  await ground.stop();
  return {
    rows: [
      {
        what: `bookings at ${BOOKINGS_PER_SECOND}/s, flooded: p99`,
        unit: 'ms',
        ours: p99.flooded,
        peer: 'alone',
        theirs: p99.alone,
        ratio: times,
        goal: `≤ ${GOAL} ×`,
        met: times <= GOAL,
      },
      {
        what: 'bookings that failed, flooded',
        unit: 'a round',
        ours: failed.flooded,
        peer: 'alone',
        theirs: failed.alone,
        ratio: null,
        goal: '0',
        met: failed.flooded.max === 0 && failed.alone.max === 0,
      },
    ],
    notes: [
      `flooded: ${FLOODED.join(', ')} and chat.postMessage of ${FLOODING_APPS} apps; alone they take ${figure(capacity)}/s; due in the flood ${figure(capacity * FLOOD)}/s, of which the ${FLOOD_CONNECTIONS} connections could send ${figure(sample(floods.map(({ perSecond }) => perSecond)).median)}/s`,
      `the round before, to warm up: p99 ${first[0]} ms, alone ${first[1]} ms`,
      `answers to the flood: ${JSON.stringify(floods.map(({ statuses, failed, dropped }) => ({ ...statuses, failed, dropped })))}`,
      ...(strange.length > 0
        ? [`the flood also got ${[...new Set(strange)].join(', ')}, which is neither an answer nor a refusal`]
        : []),
      `${asked} bookings asked for, ${booked} answered 201, ${appointments} in the table`,
    ],
    detail: { capacity, alone, flooded, floods },
  };
}

/**
 * A post of each app in its own workspace.
 * @param {Awaited<ReturnType<typeof startOurs>>} ours @param {string} postgresUrl
 */
async function postsOfApps(ours, postgresUrl) {
  await seedWorkspaces(postgresUrl);
  const posts = [];
  for (let app = 0; app < FLOODING_APPS; app++) {
    const headers = { Authorization: `Bearer ${await ours.token(botClaims(app))}` };
    const body = { channel: channelId(app), text: 'Hello from the flood' };
    posts.push({ method: 'POST', path: '/api/chat.postMessage', body, headers });
  }
  return posts;
}
