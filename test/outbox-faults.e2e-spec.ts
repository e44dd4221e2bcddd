import {
  allDone,
  book,
  cancel,
  counted,
  hold,
  letTimePass,
  patientOf,
  practice,
  slotOf,
  states,
  waitsForLock,
} from './outbox/happenings';
import type { Outside } from './outbox/outside';
import { Stage } from './outbox/stage';
import { type Answer, call, tokenFor } from './support/api';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import type { World } from './support/world';

jest.setTimeout(180_000);

/** Longer than any lease. */
const leaseSeconds = 60;

describe('an event, whatever dies on its way', () => {
  const stage = Stage.forTests();
  let world: World;
  let outside: Outside;
  let lanes: Stage['lanes'];

  beforeEach(() => {
    ({ world, outside, lanes } = stage());
  });

  const startWorker = (concurrency?: number): Promise<GateProcess> => stage().start('worker', concurrency);
  /** The worker that the last test left, or a new one, and no other. */
  const oneWorker = (): Promise<GateProcess> => stage().only('worker');
  const kill = (worker: GateProcess): Promise<void> => stage().kill(worker);
  let slotsTaken = 2_900;
  /** One that `book` does not come to. */
  const freeSlot = (): string => slotOf(practice, (slotsTaken += 1));
  const dropLocks = () => Promise.all(Object.values(lanes).map((lane) => lane.dropLocks()));

  const busySessions = () =>
    world.sql(
      `SELECT pid, state, wait_event, left(query, 80) AS query FROM pg_stat_activity
       WHERE datname = current_database() AND usename LIKE 'gatehouse_%' AND state <> 'idle'`,
    );

  /** Whether each look found nobody at work: a statement that a process sent last may not have reached its session at the first. */
  async function seenIdle(looks: number): Promise<true | unknown[]> {
    for (let look = 0; look < looks; look += 1) {
      const busy = await busySessions();
      if (busy.length > 0) return busy;
    }
    return true;
  }

  /** Stops a process where it stands, but not inside a transaction, whose locks would stop everybody else, too. */
  async function freeze(worker: GateProcess): Promise<void> {
    let seen: true | unknown[] = [];
    await until(
      async () => {
        worker.signal('SIGSTOP');
        seen = await seenIdle(50);
        if (seen !== true) worker.signal('SIGCONT');
        return seen === true;
      },
      30_000,
      () => `at work were ${JSON.stringify(seen)}`,
    );
  }

  /** Nothing lost, nothing twice. */
  async function allArriveOnce(events: readonly string[]): Promise<void> {
    const wanted = JSON.stringify(allDone(events.length));
    let last = '';
    await until(
      async () => (last = JSON.stringify(await states(world, events))) === wanted,
      60_000,
      () => `deliveries are ${last}, wanted ${wanted}`,
    );
    const { sms, crm } = await outside.sent();
    expect(sms.map(({ key }) => key).sort()).toEqual([...events].sort());
    expect(crm).toHaveLength(events.length);
    expect(await counted(world)).toBe(events.length);
    stage().settle();
  }

  it('arrives when the relay is killed before it moved the event', async () => {
    const locked = await hold(world, 'LOCK TABLE event_deliveries IN SHARE MODE');
    const worker = await oneWorker();
    const events = await book(world, 5);
    await until(() => waitsForLock(world, 'INSERT INTO event_deliveries'));
    await kill(worker);
    await locked.release();
    expect(await states(world, events)).toEqual({});
    await startWorker();
    await allArriveOnce(events);
  });

  it('arrives when the process is killed between the commit of the deliveries and their publication', async () => {
    const worker = await oneWorker();
    await until(async () => (await lanes.sms.active()) === 0 && worker.log.includes('ready as'));
    process.kill(world.redisPid, 'SIGSTOP');
    const events = await book(world, 5);
    await until(async () => JSON.stringify(await states(world, events)).includes('"sms pending":5'));
    await kill(worker);
    process.kill(world.redisPid, 'SIGCONT');
    await startWorker();
    await allArriveOnce(events);
  });

  it('arrives when it was drawn for a queue that never got it', async () => {
    await outside.mode({ sms: 'slow', crm: 'slow' });
    const worker = await oneWorker();
    const events = await book(world, 20);
    await until(async () => (await outside.sent()).seen.crm >= 4 && (await lanes.crm.waiting()) > 0);
    await kill(worker);
    await lanes.sms.loseUnnoticed();
    await outside.mode({ sms: 'ok', crm: 'ok' });
    await letTimePass(world, -3_600); // however long the start takes, the leases hold
    await startWorker();
    expect((await states(world, events))['crm pending']).toBe(20);
    await letTimePass(world, 3_600 + leaseSeconds);
    await allArriveOnce(events);
  });

  it('arrives when its worker is killed after the publication, with jobs waiting and taken', async () => {
    await outside.mode({ sms: 'slow', crm: 'slow' });
    const worker = await oneWorker();
    const events = await book(world, 20);
    await until(async () => (await lanes.sms.active()) === 4 && (await lanes.crm.waiting()) > 0);
    await kill(worker);
    await outside.mode({ sms: 'ok', crm: 'ok' });
    await dropLocks();
    await letTimePass(world, leaseSeconds);
    await startWorker();
    await allArriveOnce(events);
  });

  it('has its effect once when the consumer is killed before the effect', async () => {
    await outside.mode({ sms: 'slow', crm: 'slow' });
    const locked = await hold(world, 'LOCK TABLE booking_daily_counts IN EXCLUSIVE MODE');
    const worker = await oneWorker();
    const events = await book(world, 3);
    await until(async () => (await outside.sent()).seen.sms === 3 && (await outside.sent()).seen.crm === 3);
    await until(() => waitsForLock(world, 'INSERT INTO booking_daily_counts'));
    await kill(worker);
    await locked.release();
    expect((await outside.sent()).sms).toEqual([]);
    await outside.mode({ sms: 'ok', crm: 'ok' });
    await dropLocks();
    await letTimePass(world, leaseSeconds);
    await startWorker();
    await allArriveOnce(events);
  });

  it('has its effect once when the consumer is killed after the effect', async () => {
    await outside.mode({ sms: 'mute', crm: 'mute' });
    const worker = await oneWorker();
    const events = await book(world, 3);
    await until(async () => (await outside.sent()).sms.length === 3 && (await outside.sent()).crm.length === 3);
    await until(async () => (await states(world, events))['analytics done'] === 3);
    await kill(worker);
    expect(await states(world, events)).toEqual({ 'analytics done': 3, 'crm pending': 3, 'sms pending': 3 });
    await outside.mode({ sms: 'ok', crm: 'ok' });
    await dropLocks();
    await letTimePass(world, leaseSeconds);
    await startWorker();
    await allArriveOnce(events);
    expect((await outside.sent()).sms.map(({ repeated }) => repeated)).toEqual([1, 1, 1]);
  });

  it('arrives when Redis is flushed while it waits', async () => {
    await outside.mode({ sms: 'slow', crm: 'slow' });
    await oneWorker();
    const events = await book(world, 50);
    await until(async () => (await lanes.sms.waiting()) === 46 && (await lanes.crm.waiting()) === 46);
    await lanes.sms.flushAll();
    await outside.mode({ sms: 'ok', crm: 'ok' });
    await allArriveOnce(events);
  });

  it.each([
    ['goes on where it was', 'SIGCONT'],
    ['comes back empty', 'SIGKILL'],
  ] as const)('is booked over HTTP while Redis does not answer, and arrives once it %s', async (_, then) => {
    const gate = await stage().only('api');
    const worker = await startWorker();
    const agent = await tokenFor(gate, { sub: 'sam', role: 'scheduling_agent', practice_id: practice });
    const stopped = world.redisPid;
    process.kill(stopped, 'SIGSTOP');
    let answers: Answer[] = [];
    try {
      answers = await Promise.all(
        Array.from({ length: 5 }, (_, n) =>
          call(gate, '/appointments', {
            token: agent,
            body: { patientId: patientOf(practice), slotId: freeSlot(), type: 'comprehensive_exam' },
            headers: { 'Idempotency-Key': `${then}-${n}` },
          }),
        ),
      );
      // Long enough to be noticed by those who would fill the queues.
      await until(() => worker.log.includes('A step failed and will be repeated'));
    } finally {
      process.kill(stopped, then);
    }
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    const rows = await world.sql<{ id: string }>(
      `SELECT id FROM outbox_events WHERE payload->>'appointmentId' = ANY($1)`,
      [answers.map(({ body }) => body.appointmentId)],
    );
    await allArriveOnce(rows.map(({ id }) => id));
    expect(rows).toHaveLength(5);
  });

  it('is not kept out by what a flush left of its job', async () => {
    await stage().none();
    const [event = ''] = await book(world, 1);
    await lanes.sms.leaveGhost(event);
    await startWorker();
    await until(async () => (await states(world, [event]))['crm done'] === 1);
    expect((await states(world, [event]))['sms pending']).toBe(1);
    await letTimePass(world, leaseSeconds);
    await allArriveOnce([event]);
  });

  it('is counted once however often its job is repeated', async () => {
    const locked = await hold(world, 'LOCK TABLE booking_daily_counts IN EXCLUSIVE MODE');
    await oneWorker();
    await startWorker();
    const events = await book(world, 10);
    await until(() => waitsForLock(world, 'INSERT INTO booking_daily_counts'));
    for (const time of ['a', 'b', 'c']) await lanes.analytics.addAgain(events, practice, time);
    await locked.release();
    await allArriveOnce(events);
    await lanes.analytics.addAgain(events, practice, 'd');
    await until(async () => (await lanes.analytics.waiting()) + (await lanes.analytics.active()) === 0);
    expect(await counted(world)).toBe(10);
  });

  it('is delivered once with two relays at once', async () => {
    while (stage().size < 2) await startWorker();
    const events = (await Promise.all(Array.from({ length: 10 }, () => book(world, 30)))).flat();
    await allArriveOnce(events);
    expect((await outside.sent()).sms.filter(({ repeated }) => repeated > 0)).toEqual([]);
    const [row] = await world.sql<{ most: number }>(
      'SELECT max(attempts) AS most FROM event_deliveries WHERE event_id = ANY($1)',
      [events],
    );
    expect(row?.most).toBe(1);
  });

  it('is not marked by an attempt that outlived its lease', async () => {
    await outside.mode({ sms: 'mute' });
    // Of one job at a time, so that it asks for no other: a frozen process would be handed one all the same.
    await stage().none();
    const first = await startWorker(1);
    const [event = ''] = await book(world, 1);
    await until(async () => (await outside.sent()).seen.sms === 1);
    // What else it held it would keep until the next lease.
    await until(async () => (await states(world, [event]))['crm done'] === 1);
    await until(async () => (await states(world, [event]))['analytics done'] === 1);
    await freeze(first);
    await lanes.sms.dropLocks();
    await letTimePass(world, leaseSeconds);
    const second = await startWorker();
    await until(async () => (await outside.sent()).seen.sms === 2);
    await freeze(second);
    await outside.mode({ sms: 'ok' });
    first.signal('SIGCONT');
    await until(() => first.log.includes('outlived its lease'));
    expect((await states(world, [event]))['sms pending']).toBe(1);
    second.signal('SIGCONT');
    await allArriveOnce([event]);
  });

  it('leaves the CRM with the newest state, also where an attempt that outlived its lease writes last', async () => {
    await outside.mode({ crm: 'late' });
    await stage().none();
    const first = await startWorker(1);
    const [booked = ''] = await book(world, 1);
    const meeting = async () => (await outside.sent()).crm[0];
    await until(async () => (await outside.sent()).seen.crm === 1);
    await freeze(first);
    await lanes.crm.dropLocks();
    await letTimePass(world, leaseSeconds);
    await startWorker();
    await until(async () => (await states(world, [booked]))['crm done'] === 1);
    const cancelled = await cancel(world, booked);
    await until(async () => (await states(world, [cancelled]))['crm done'] === 1);
    await outside.mode({ crm: 'ok' });
    await until(async () => (await meeting())?.writes.length === 3);
    expect((await meeting())?.properties.hs_meeting_outcome).toBe('SCHEDULED');
    first.signal('SIGCONT');
    await until(async () => (await meeting())?.writes.length === 4);
    expect((await meeting())?.properties.hs_meeting_outcome).toBe('CANCELED');
    await until(async () => JSON.stringify(await states(world, [booked, cancelled])) === JSON.stringify(allDone(2)));
    stage().settle();
  });

  it('lets a worker stop in order while Redis does not answer', async () => {
    const worker = await oneWorker();
    const events = await book(world, 2);
    await allArriveOnce(events);
    process.kill(world.redisPid, 'SIGSTOP');
    try {
      expect(await worker.end('SIGTERM')).toBe(0);
    } finally {
      process.kill(world.redisPid, 'SIGCONT');
    }
  });
});
