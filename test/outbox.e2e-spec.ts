import {
  allDone,
  book,
  cancel,
  counted,
  letTimePass,
  otherPractice,
  patientOf,
  practice,
  slotOf,
  states,
} from './outbox/happenings';
import type { Outside } from './outbox/outside';
import { Stage } from './outbox/stage';
import { Client } from 'pg';
import { call, tokenFor } from './support/api';
import { holdChain, waitingForChains } from './support/chains';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import type { World } from './support/world';

jest.setTimeout(180_000);

interface DeadLetters {
  readonly data: readonly Record<string, unknown>[];
  readonly nextCursor: string | null;
}

describe('the events of bookings', () => {
  const stage = Stage.forTests();
  let world: World;
  let outside: Outside;
  let lanes: Stage['lanes'];
  let tracedSlot = 2_910;

  beforeEach(() => {
    ({ world, outside, lanes } = stage());
  });

  const oneWorker = (): Promise<GateProcess> => stage().only('worker');
  // A worker tells no address of an API, only that of its health and metrics.
  const metrics = async ({ log }: GateProcess): Promise<string> =>
    (await call({ url: /http:\/\/[\w.]+:\d+/.exec(log)?.[0] ?? '' }, '/metrics')).text;
  const reach = (events: readonly string[], wanted: Record<string, number>, timeoutMs = 45_000): Promise<void> => {
    let last = {};
    return until(
      async () => JSON.stringify((last = await states(world, events))) === JSON.stringify(wanted),
      timeoutMs,
      () => `deliveries are ${JSON.stringify(last)}`,
    );
  };

  it('are seen by no tenant but their own, and by nobody without one', async () => {
    await stage().none();
    await book(world, 2);
    const client = await world.runtimeClient();
    const visible = async (tenant: string) => {
      await client.query(`BEGIN; SET LOCAL gatehouse.tenant = '${await world.signed(tenant)}'`);
      const { rows } = await client.query<{ count: number }>('SELECT count(*)::int AS count FROM outbox_events');
      await client.query('ROLLBACK');
      return rows[0]?.count;
    };
    try {
      expect([await visible(practice), await visible(otherPractice), await visible('')]).toEqual([2, 0, 0]);
      await expect(client.query('DELETE FROM outbox_events')).rejects.toThrow(/permission denied/);
    } finally {
      await client.end();
    }
  });

  it('wait in Postgres, and a queue holds a bounded part of them, whatever one tenant has', async () => {
    await outside.mode({ sms: 'slow', crm: 'slow' });
    await oneWorker();
    const many = await book(world, 1_700);
    await until(async () => (await lanes.sms.waiting()) >= 900);
    const [few = ''] = await book(world, 1, otherPractice);
    await reach([few, ...many], { 'analytics done': 1_701, 'crm pending': 1_701, 'sms pending': 1_701 }, 240_000);
    expect(await lanes.sms.waiting()).toBeLessThanOrEqual(1_000);
    expect(await lanes.crm.waiting()).toBeLessThanOrEqual(1_000);
    await outside.mode({ sms: 'ok', crm: 'ok' });
    await until(async () => (await states(world, [few]))['sms done'] === 1, 180_000);
    // One queue's content stood before it, not the whole backlog of the other practice.
    const [before] = await world.sql<{ count: number }>(
      `SELECT count(*)::int FROM event_deliveries d, event_deliveries f
       WHERE f.event_id = $1 AND f.consumer = 'sms' AND d.consumer = 'sms' AND d.finished_at < f.finished_at`,
      [few],
    );
    expect(before?.count).toBeLessThan(1_400);
  });

  it('reach the SMS provider, the CRM and the daily counter once each', async () => {
    await oneWorker();
    const events = await book(world, 3);
    await reach(events, allDone(3));
    const { sms, crm, seen } = await outside.sent();
    expect(sms.map(({ key }) => key).sort()).toEqual(events);
    expect(sms[0]?.to).toBe('+15550100');
    expect(sms[0]?.body).toMatch(
      /^Practice practice_t001: your appointment is booked for \d{4}-\d\d-\d\d at \d\d:00\.$/,
    );
    expect(crm[0]?.uniqueId).toMatch(/^gatehouse_appointment_id=appt_/);
    expect(crm[0]?.properties).toMatchObject({
      hs_meeting_title: 'comprehensive_exam',
      hs_meeting_outcome: 'SCHEDULED',
    });
    expect(seen).toEqual({ sms: 3, crm: 3 });
    expect(await counted(world)).toBe(3);
    stage().settle();
  });

  it('are told of a patient only once that is in the audit log', async () => {
    const holder = await holdChain(world, practice);
    await oneWorker();
    const [event = ''] = await book(world, 1);
    await until(async () => (await waitingForChains(world)) > 0);
    expect((await outside.sent()).seen).toEqual({ sms: 0, crm: 0 });
    await holder.end();
    await reach([event], allDone(1));
    const told = await world.sql<{ to: string; actor: string; subjects: string[]; correlates: boolean }>(
      `SELECT a.body -> 'detail' ->> 'to' AS to, a.actor, a.body -> 'subjects' AS subjects, a.body ->> 'correlationId' = e.correlation_id AS correlates
       FROM audit_entries a JOIN outbox_events e ON e.id = a.body -> 'detail' ->> 'eventId'
       WHERE a.practice_id = $1 AND e.id = $2 AND a.body ->> 'action' = 'appointment.disclose' ORDER BY 1`,
      [practice, event],
    );
    const [booked] = await world.sql<{ subjects: string[] }>(
      `SELECT ARRAY[a.id, a.patient_id] AS subjects FROM appointments a JOIN outbox_events e ON e.payload ->> 'appointmentId' = a.id
       WHERE e.id = $1`,
      [event],
    );
    const one = { subjects: booked?.subjects, correlates: true };
    expect(told).toEqual([
      { to: 'crm', actor: 'consumer:crm', ...one },
      { to: 'sms', actor: 'consumer:sms', ...one },
    ]);
  });

  it('wait for the audit log, and lose no attempt by it', async () => {
    const append = 'append_audit_entries(text[], int[], text[], text[], json)';
    await world.sql(`ALTER FUNCTION ${append} RENAME TO away`);
    const worker = await oneWorker();
    const [event = ''] = await book(world, 1);
    await until(() => worker.log.includes('append_audit_entries'));
    expect((await outside.sent()).seen).toEqual({ sms: 0, crm: 0 });
    await world.sql(`ALTER FUNCTION ${append.replace('append_audit_entries', 'away')} RENAME TO append_audit_entries`);
    await reach([event], allDone(1));
    const attempts = await world.sql('SELECT consumer, attempts FROM event_deliveries WHERE event_id = $1 ORDER BY 1', [
      event,
    ]);
    expect(attempts).toEqual(['analytics', 'crm', 'sms'].map((consumer) => ({ consumer, attempts: 1 })));
  });

  it('are carried out with the tenant and the correlation id of the request that caused them', async () => {
    await oneWorker();
    await outside.mode({ sms: 'reject' });
    const [event = ''] = await book(world, 1, otherPractice);
    await reach([event], { 'analytics done': 1, 'crm done': 1, 'sms dead': 1 });
    const [row] = await world.sql<{ correlation_id: string }>(
      'SELECT correlation_id FROM outbox_events WHERE id = $1',
      [event],
    );
    expect((await outside.sent()).headers.crm).toMatchObject({
      correlationId: row?.correlation_id,
      idempotencyKey: event,
    });
    expect(await counted(world, otherPractice)).toBe(1);
    expect(await counted(world, practice)).toBe(0);
    stage().settle();
  });

  it('reach patients while the CRM does not answer, and the CRM once it does', async () => {
    await outside.mode({ crm: 'slow' });
    await oneWorker();
    const events = await book(world, 40);
    await reach(events, { 'analytics done': 40, 'crm pending': 40, 'sms done': 40 });
    await outside.mode({ crm: 'ok' });
    await reach(events, allDone(40));
    stage().settle();
  });

  it('are not thrown at a CRM that is down: after five failures one at a time asks whether it is back', async () => {
    await outside.mode({ crm: 'down' });
    const worker = await oneWorker();
    const events = await book(world, 100);
    await reach(events, { 'analytics done': 100, 'crm pending': 100, 'sms done': 100 });
    await until(async () => (await metrics(worker)).includes('event_consumer_circuit_open{consumer="crm"} 1'));
    // Four were under way when the fifth failure came; a pause of a second and more stands before each further one.
    expect((await outside.sent()).seen.crm).toBeLessThan(20);
    await outside.mode({ crm: 'ok' });
    await until(
      async () => (await states(world, events))['crm done'] === 100 || (await letTimePass(world, 300), false),
    );
    expect((await outside.sent()).crm).toHaveLength(100);
    stage().settle();
  });

  it('leave the CRM with the newest state, also where a cancellation overtakes its booking', async () => {
    await outside.mode({ crm: 'late' });
    await oneWorker();
    const [booked = ''] = await book(world, 1);
    await until(async () => (await outside.sent()).seen.crm === 1);
    const cancelled = await cancel(world, booked);
    await reach([cancelled], { 'analytics done': 1, 'crm done': 1, 'sms done': 1 });
    expect((await outside.sent()).crm).toMatchObject([
      { properties: { hs_meeting_outcome: 'CANCELED' }, writes: [cancelled] },
    ]);
    await outside.mode({ crm: 'ok' });
    await reach([booked, cancelled], allDone(2));
    expect((await outside.sent()).crm).toMatchObject([
      { properties: { hs_meeting_outcome: 'CANCELED' }, writes: [cancelled, booked, booked] },
    ]);
    stage().settle();
  });

  it('that a provider refuses for good are dead letters, which an operator lists and retries', async () => {
    await outside.mode({ sms: 'reject' });
    const gate = await stage().only('all');
    const operator = await tokenFor(gate, { sub: 'olga', role: 'operator' });
    const events = await book(world, 3);
    await reach(events, { 'analytics done': 3, 'crm done': 3, 'sms dead': 3 });

    const first = await call<DeadLetters>(gate, '/dead-letters?limit=2', { token: operator });
    expect(first.status).toBe(200);
    expect(first.body.data).toHaveLength(2);
    expect(first.body.data[0]).toMatchObject({
      id: `${events[2]}.sms`,
      eventId: events[2],
      eventType: 'appointment.booked',
      consumer: 'sms',
      tenantId: practice,
      attempts: 1,
      lastErrorClass: 'status_400',
    });
    const rest = await call<DeadLetters>(gate, `/dead-letters?limit=2&cursor=${first.body.nextCursor}`, {
      token: operator,
    });
    expect(rest.body.data.map(({ id }) => id)).toEqual([`${events[0]}.sms`]);
    expect(rest.body.nextCursor).toBeNull();
    expect((await call<DeadLetters>(gate, '/dead-letters?consumer=crm', { token: operator })).body.data).toEqual([]);

    await outside.mode({ sms: 'ok' });
    const retry = (id: string) => call(gate, `/dead-letters/${id}/retry`, { method: 'POST', token: operator });
    const retried = await retry(`${events[0]}.sms`);
    expect([retried.status, retried.body]).toEqual([202, { id: `${events[0]}.sms`, status: 'pending' }]);
    await reach(events, { 'analytics done': 3, 'crm done': 3, 'sms dead': 2, 'sms done': 1 });
    expect((await outside.sent()).sms.map(({ key }) => key)).toEqual([events[0]]);
    expect((await retry(`${events[0]}.sms`)).body).toMatchObject({ status: 409, code: 'not_dead' });
    for (const id of ['evt_0000.sms', 'nonsense'])
      expect((await retry(id)).body).toMatchObject({ status: 404, code: 'dead_letter_unknown' });
    expect((await retry('..%2f..')).body).toMatchObject({ status: 403, ruleId: 'path-traversal' });
    stage().settle();
  });

  it('that are dead are nobody else’s to see', async () => {
    const gate = await stage().only('all');
    const agent = await tokenFor(gate, { sub: 'sam', role: 'scheduling_agent', practice_id: practice });
    expect((await call(gate, '/dead-letters')).status).toBe(401);
    expect((await call(gate, '/dead-letters', { token: agent })).status).toBe(403);
    expect((await call(gate, '/dead-letters/evt_0000.sms/retry', { method: 'POST', token: agent })).status).toBe(403);
    stage().settle();
  });

  it('wake the worker of another process, once for many', async () => {
    const gate = await stage().only('api');
    const claims = { sub: 'sam', role: 'scheduling_agent', practice_id: practice, usage_plan: 'internal' };
    const agent = await tokenFor(gate, claims);
    const listener = new Client({ connectionString: world.superuserUrl });
    await listener.connect();
    try {
      let notified = 0;
      listener.on('notification', () => (notified += 1));
      await listener.query('LISTEN gatehouse_outbox');
      const bookings = Array.from({ length: 40 }, (_, n) =>
        call(gate, '/appointments', {
          token: agent,
          body: { patientId: patientOf(practice), slotId: slotOf(practice, 2_700 + n), type: 'comprehensive_exam' },
          headers: { 'Idempotency-Key': `n${n}` },
        }),
      );
      expect((await Promise.all(bookings)).map(({ status }) => status)).toEqual(Array.from({ length: 40 }, () => 201));
      await until(() => notified > 0);
      expect(notified).toBeLessThan(40);
    } finally {
      await listener.end();
    }
    stage().settle();
  });

  it('are carried from a booking over HTTP to its consumers, and so is its cancellation', async () => {
    const gate = await stage().only('api');
    const worker = await stage().start('worker');
    const agent = await tokenFor(gate, { sub: 'sam', role: 'scheduling_agent', practice_id: practice });
    const body = { patientId: patientOf(practice), slotId: slotOf(practice, 2_900), type: 'comprehensive_exam' };
    const trace = (id: string) => `00-${id.repeat(16)}-b7ad6b7169203331-01`;
    const booked = await call(gate, '/appointments', {
      token: agent,
      body,
      headers: { 'Idempotency-Key': 'one', 'X-Correlation-Id': 'caused-by-me', Traceparent: trace('a1') },
    });
    expect(booked.status).toBe(201);
    await until(async () => (await outside.sent()).crm.length === 1 && (await outside.sent()).sms.length === 1);
    const names = { correlationId: 'caused-by-me', traceparent: trace('a1') };
    expect((await outside.sent()).headers).toMatchObject({ sms: names, crm: names });
    await until(async () =>
      (await metrics(worker)).includes('event_delivery_attempts_total{consumer="sms",outcome="done"} 1'),
    );

    const cancelled = await call(gate, `/appointments/${String(booked.body.appointmentId)}/cancel`, {
      method: 'POST',
      token: agent,
      headers: { 'Idempotency-Key': 'two', Traceparent: trace('b2') },
    });
    expect(cancelled.status).toBe(200);
    await until(async () => (await outside.sent()).crm[0]?.properties.hs_meeting_outcome === 'CANCELED');
    await until(async () => (await outside.sent()).sms[1]?.body.includes('was cancelled') === true);
    const { sms, crm } = (await outside.sent()).headers;
    expect([sms.traceparent, crm.traceparent]).toEqual([trace('b2'), trace('b2')]);
    stage().settle();
  });

  it.each([
    ['that is well-formed', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', true],
    ['with no trace', '00-00000000000000000000000000000000-00f067aa0ba902b7-01', false],
    ['with no parent', '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01', false],
    ['of the version that there is not', 'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', false],
    ['in capitals', '00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01', false],
    ['that is none', '4bf92f3577b34da6a3ce929d0e0e4736', false],
  ])('keep a traceparent %s, or forget it', async (_, traceparent, isKept) => {
    const gate = await stage().only('api');
    const agent = await tokenFor(gate, { sub: 'sam', role: 'scheduling_agent', practice_id: practice });
    tracedSlot += 1;
    const booked = await call(gate, '/appointments', {
      token: agent,
      body: { patientId: patientOf(practice), slotId: slotOf(practice, tracedSlot), type: 'comprehensive_exam' },
      headers: { 'Idempotency-Key': `traced-${tracedSlot}`, Traceparent: traceparent },
    });
    expect(booked.status).toBe(201);
    const kept = await world.sql('SELECT traceparent FROM outbox_events');
    expect(kept).toEqual([{ traceparent: isKept ? traceparent : null }]);
    stage().settle();
  });
});
