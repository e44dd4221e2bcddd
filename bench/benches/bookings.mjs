// @ts-check
/**
 * Bookings of distinct slots over HTTP, the whole transaction with idempotency record and outbox event, beside pgbench with the same SQL, the same tables and the same number of clients;
 * and a booking sent again under its key, beside one indexed read through the same pipeline.
 * Goals: ≥ 0.5 × pgbench; a duplicate costs at most one indexed read.
 */
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { claims } from '../identity.mjs';
import { inTurn, load, ratio, sample, Void } from '../measure.mjs';
import { benchLogin, countBookings, countReads, patientId, seedBookings, slotId } from '../ours/bookings.mjs';
import { startOurs } from '../ours/server.mjs';
import { findPgbench, pgbench, signedTenant } from '../pgbench.mjs';
import { startGround } from '../servers.mjs';

const GOAL = 0.5;
const CLIENTS = 32;
/** No machine here books faster; a run that used up its slots is void. */
const SLOTS_PER_SECOND = 10_000;
/** Requests whose reads are counted. */
const COUNTED = 500;
const SCRIPT = fileURLToPath(new URL('../ours/bookings.sql', import.meta.url));

/** @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Report>} */
export default async function bookings(options) {
  if (options.peersOnly) throw new Error('the peer works on the tables of Gatehouse, so there is no --peers here');
  findPgbench();
  const ground = await startGround({ postgres: true });
  const { postgresUrl } = ground;
  const ours = await startOurs({ dataDir: ground.dataDir }); // it lays the tables, too
  const seconds = options.warmupSeconds + options.seconds;
  const slotsPerRun = Math.ceil((seconds * SLOTS_PER_SECOND) / CLIENTS) * CLIENTS;
  const subjects = [{ name: 'ours' }, { name: 'pgbench' }];
  await seedBookings(postgresUrl, subjects.length * options.rounds * slotsPerRun + 1);
  const url = await benchLogin(postgresUrl);
  const token = await ours.token(claims);
  const { host, port } = ours;

  let nextSlot = 1; // slot 0 is the duplicate's
  const takeSlots = () => {
    const from = nextSlot;
    nextSlot += slotsPerRun;
    return { from, to: nextSlot };
  };

  const results = await inTurn(options.rounds, subjects, async ({ name }) => {
    const { from, to } = takeSlots();
    if (name === 'pgbench') {
      const stride = (to - from) / CLIENTS;
      const run = { script: SCRIPT, url, clients: CLIENTS };
      const tenant = await signedTenant(postgresUrl, 'practice_bench');
      // pgbench has no warm-up of its own: two runs, the second going on where no client of the first can have been.
      const share = Math.floor((stride * options.warmupSeconds) / seconds);
      const warm =
        options.warmupSeconds > 0
          ? await pgbench({
              ...run,
              seconds: options.warmupSeconds,
              variables: { tenant, base: from - 1, stride, i: 0 },
            })
          : { transactions: 0 };
      const measured = await pgbench({
        ...run,
        seconds: options.seconds,
        variables: { tenant, base: from - 1, stride, i: share },
      });
      await reconcile(postgresUrl, from, to, warm.transactions + measured.transactions, 'pgbench');
      return measured.perSecond;
    }
    const run = await load(
      {
        host,
        port,
        connections: CLIENTS,
        mode: 'closed',
        warmupSeconds: options.warmupSeconds,
        seconds: options.seconds,
        workload: 'bookings.mjs',
        args: { token, from, to },
      },
      { expect: [201] },
    );
    if (/** @type {{ ranOut: boolean }} */ (run.summary).ranOut)
      throw new Void('the seeded slots ran out: raise SLOTS_PER_SECOND');
    await reconcile(postgresUrl, from, to, run.statuses[201], 'Gatehouse');
    return run.perSecond;
  });
  const [mine, theirs] = [sample(results.get('ours') ?? []), sample(results.get('pgbench') ?? [])];
  const times = ratio(mine, theirs);
  /** @type {import('../report.mjs').Row[]} */
  const rows = [
    {
      what: `bookings, ${CLIENTS} clients`,
      unit: '/s',
      ours: mine,
      peer: 'pgbench, same SQL',
      theirs,
      ratio: times,
      goal: `≥ ${GOAL} ×`,
      met: times >= GOAL,
    },
  ];
  rows.push(...(await duplicate(options, ours, token, postgresUrl)));
  await reconcile(postgresUrl, 0, 1, 1, 'Gatehouse, replaying');
  await ours.stop();
  await ground.stop();
  return { rows, notes: ['every run: answers 201 = booked slots = appointments = outbox events'] };
}

/** @param {string} postgresUrl @param {number} from @param {number} to @param {number} accepted @param {string} who */
async function reconcile(postgresUrl, from, to, accepted, who) {
  const { slots, appointments, events } = await countBookings(postgresUrl, from, to);
  if (slots !== accepted || appointments !== accepted || events !== accepted) {
    throw new Void(`${who} booked ${accepted}, and the tables hold ${JSON.stringify({ slots, appointments, events })}`);
  }
}

/** @param {import('../measure.mjs').Options} options @param {import('../servers.mjs').Server} ours @param {string} token @param {string} postgresUrl @returns {Promise<import('../report.mjs').Row[]>} */
async function duplicate(options, { host, port, url }, token, postgresUrl) {
  const headers = { Authorization: `Bearer ${token}` };
  const key = `bench-${randomUUID()}`;
  const body = { patientId: patientId(0), slotId: slotId(0), type: 'comprehensive_exam' };
  const booked = await fetch(`${url}/appointments`, {
    method: 'POST',
    headers: { ...headers, 'idempotency-key': key, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (booked.status !== 201) throw new Void(`the booking to be repeated got ${booked.status}: ${await booked.text()}`);
  const { appointmentId } = /** @type {{ appointmentId: string }} */ (await booked.json());
  const cases = [
    {
      name: 'again',
      status: 201,
      request: { method: 'POST', path: '/appointments', headers: { ...headers, 'Idempotency-Key': key }, body },
    },
    { name: 'read', status: 200, request: { path: `/appointments/${appointmentId}`, headers } },
  ];
  const results = await inTurn(options.rounds, cases, async ({ status, request }) => {
    const run = await load(
      // One connection: repeats of one key wait for each other, and the question is what one costs.
      {
        host,
        port,
        connections: 1,
        mode: 'closed',
        warmupSeconds: options.warmupSeconds,
        seconds: options.seconds,
        workload: 'fixed.mjs',
        args: { requests: [request] },
      },
      { expect: [status] },
    );
    return 1e6 / run.perSecond;
  });
  const [again, read] = [sample(results.get('again') ?? []), sample(results.get('read') ?? [])];
  const times = ratio(again, read);
  const counted = [];
  for (const { status, request } of cases) {
    const before = await countReads(postgresUrl);
    await load(
      {
        host,
        port,
        connections: 1,
        mode: 'closed',
        warmupSeconds: 0,
        seconds: 0,
        requests: COUNTED,
        workload: 'fixed.mjs',
        args: { requests: [request] },
      },
      { expect: [status] },
    );
    counted.push(sample([((await countReads(postgresUrl)) - before) / COUNTED]));
  }
  const [readsAgain = sample([]), readsRead = null] = counted;
  const peer = 'GET /appointments/{id}';
  return [
    {
      what: 'a booking sent again: indexed reads, by Postgres’ count',
      unit: 'reads',
      ours: readsAgain,
      peer,
      theirs: readsRead,
      ratio: null,
      goal: '≤ 1',
      // Whatever else looks at these tables meanwhile (the sweep of old keys) is counted, too.
      met: readsAgain.median < 1 + 10 / COUNTED,
    },
    {
      what: 'a booking sent again',
      unit: 'µs',
      ours: again,
      peer,
      theirs: read,
      ratio: times,
      goal: 'none',
      met: null,
    },
  ];
}
