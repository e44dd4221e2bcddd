import { randomUUID } from 'node:crypto';
import { type Answer, call, callPatiently, tokenFor } from './support/api';
import { type Practice, seedPractice } from './support/practice';
import type { GateProcess } from './support/process';
import { World } from './support/world';

interface Booked {
  appointmentId: string;
  status: string;
  date: string;
  time: string;
  type: string;
}

describe('bookings', () => {
  let world: World;
  let first: GateProcess;
  let second: GateProcess;
  let ours: Practice;
  let theirs: Practice;
  let token: string;
  let nextSlot = 0;

  beforeAll(async () => {
    world = await World.create();
    ours = await seedPractice(world, 'ours', { patients: 3, slots: 200 });
    theirs = await seedPractice(world, 'theirs', { patients: 1, slots: 3 });
    [first, second] = await Promise.all([world.start(), world.start()]);
    token = await tokenFor(first, agentOf(ours));
  });
  afterAll(() => world.end());

  const agentOf = (practice: Practice, sub = 'user_agent') => ({
    sub,
    practice_id: practice.id,
    role: 'scheduling_agent',
    usage_plan: 'internal',
  });
  const freshSlot = (): string => {
    const slot = ours.slots[nextSlot];
    nextSlot += 1;
    if (slot === undefined) throw new Error('The test has used up its slots');
    return slot;
  };
  const requestFor = (slotId: string, patientId = ours.patients[0]) => ({
    patientId,
    slotId,
    type: 'comprehensive_exam',
  });
  const book = (body: unknown, key: string = randomUUID(), options: { gate?: GateProcess; token?: string } = {}) =>
    callPatiently<Booked>(options.gate ?? first, '/appointments', {
      body,
      token: options.token ?? token,
      headers: { 'idempotency-key': key },
    });
  const appointmentsOf = (slotId: string) =>
    world.sql(`SELECT id, status FROM appointments WHERE slot_id = $1`, [slotId]);

  describe('booking', () => {
    it('confirms a free slot and tells the outbox in the same transaction', async () => {
      const slotId = freshSlot();
      const answer = await book(requestFor(slotId));
      expect(answer.status).toBe(201);
      expect(Object.keys(answer.body)).toEqual(['appointmentId', 'status', 'date', 'time', 'type']);
      expect(answer.body).toMatchObject({ status: 'confirmed', type: 'comprehensive_exam' });
      expect(answer.body.appointmentId).toMatch(/^appt_[0-9a-z]{26}$/);
      expect(answer.body.date).toMatch(/^\d{4}-\d{2}-\d{2}$/);
      expect(answer.body.time).toMatch(/^\d{2}:\d{2}$/);
      expect(await world.sql(`SELECT status FROM slots WHERE id = $1`, [slotId])).toEqual([{ status: 'booked' }]);
      const { appointmentId, date, time, type } = answer.body;
      const events = await world.sql(
        `SELECT type, tenant_id, payload, correlation_id FROM outbox_events WHERE payload->>'slotId' = $1`,
        [slotId],
      );
      const payload = { appointmentId, patientId: ours.patients[0], slotId, type, date, time };
      const correlation_id = answer.headers.get('x-correlation-id');
      expect(events).toEqual([{ type: 'appointment.booked', tenant_id: ours.id, payload, correlation_id }]);
    });

    it('needs an idempotency key', async () => {
      const answer = await call(first, '/appointments', { body: requestFor(freshSlot()), token });
      expect([answer.status, answer.body.code]).toEqual([400, 'idempotency_key_missing']);
    });

    it.each([
      ['with a space', 'two words'],
      ['beyond ASCII', 'ü'],
      ['too long', 'x'.repeat(256)],
      ['empty', ''],
    ])('refuses an idempotency key that is %s, and says what one is', async (_, key) => {
      const headers = { 'idempotency-key': key };
      const { status, body } = await call(first, '/appointments', { body: requestFor(freshSlot()), token, headers });
      expect([status, body.code, body.detail]).toEqual([
        400,
        'idempotency_key_invalid',
        'The key must be 1 to 255 printable ASCII characters, without spaces',
      ]);
    });

    it('takes X-Idempotency-Key for the same, and refuses two that differ', async () => {
      const slotId = freshSlot();
      const withHeaders = (headers: Record<string, string>) =>
        call(first, '/appointments', { body: requestFor(slotId), token, headers });
      const key = randomUUID();
      expect((await withHeaders({ 'idempotency-key': key, 'x-idempotency-key': 'other' })).status).toBe(400);
      expect((await withHeaders({ 'x-idempotency-key': key })).status).toBe(201);
      expect((await withHeaders({ 'idempotency-key': key })).headers.get('idempotent-replayed')).toBe('true');
    });

    it.each([
      ['an unknown slot', () => requestFor('slot_unknown'), 404, 'slot_unknown'],
      ['an unknown patient', () => requestFor(freshSlot(), 'pat_unknown'), 404, 'patient_unknown'],
      ['another practice’s slot', () => requestFor(theirs.slots[0] ?? ''), 403, 'forbidden'],
      ['another practice’s patient', () => requestFor(freshSlot(), theirs.patients[0]), 403, 'forbidden'],
      ['an unknown property', () => ({ ...requestFor(freshSlot()), isAdmin: true }), 400, 'validation_failed'],
      ['a type that there is not', () => ({ ...requestFor(freshSlot()), type: 'haircut' }), 400, 'validation_failed'],
      ['no body', () => undefined, 400, 'body_required'],
    ])('refuses %s and changes nothing', async (_, request, status, code) => {
      const before = await world.sql(`SELECT count(*) FROM appointments`);
      const answer = await call(first, '/appointments', {
        method: 'POST',
        body: request(),
        token,
        headers: { 'idempotency-key': randomUUID() },
      });
      expect(answer.status).toBe(status);
      expect(answer.body.code).toBe(code);
      expect(answer.headers.get('x-correlation-id')).toBe(answer.body.correlationId);
      expect(await world.sql(`SELECT count(*) FROM appointments`)).toEqual(before);
    });

    it('refuses a slot that is taken, and one whose time has come', async () => {
      const slotId = freshSlot();
      await book(requestFor(slotId));
      expect([(await book(requestFor(slotId))).status, (await appointmentsOf(slotId)).length]).toEqual([409, 1]);
      const past = freshSlot();
      await world.sql(`UPDATE slots SET starts_at = now() - interval '1 minute' WHERE id = $1`, [past]);
      const answer = await book(requestFor(past));
      expect([answer.status, (answer.body as unknown as Record<string, string>).code]).toEqual([409, 'slot_past']);
    });

    it('gives a slot to exactly one of 1,000 racers over two processes', async () => {
      const slotId = freshSlot();
      const answers = await Promise.all(
        Array.from({ length: 1_000 }, (_, n) =>
          book(requestFor(slotId), randomUUID(), { gate: n % 2 === 0 ? first : second }),
        ),
      );
      const statuses = answers.map(({ status }) => status);
      expect(statuses.filter((status) => status === 201)).toHaveLength(1);
      expect(statuses.filter((status) => ![201, 409, 503].includes(status))).toEqual([]);
      expect(await appointmentsOf(slotId)).toHaveLength(1);
    });
  });

  describe('idempotency', () => {
    const assertSame = (answers: Answer<Booked>[]) => {
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
      expect(answers.every(({ status }) => status === 201)).toBe(true);
    };

    it('answers a second click that comes before the first is done with the first one’s bytes', async () => {
      const [slotId, key] = [freshSlot(), randomUUID()];
      const answers = await Promise.all([
        book(requestFor(slotId), key),
        book(requestFor(slotId), key, { gate: second }),
      ]);
      assertSame(answers);
      expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(1);
    });

    it('makes one appointment of the same key sent 100 times at once', async () => {
      const [slotId, key] = [freshSlot(), randomUUID()];
      assertSame(
        await Promise.all(
          Array.from({ length: 100 }, (_, n) => book(requestFor(slotId), key, { gate: n % 2 ? first : second })),
        ),
      );
      expect(await appointmentsOf(slotId)).toHaveLength(1);
    });

    it('should return unprocessable when a different body is sent for the same key', async () => {
      const key = randomUUID();
      await book(requestFor(freshSlot()), key);
      expect((await book(requestFor(freshSlot()), key)).status).toBe(422);
    });

    it('keeps keys of users and practices apart', async () => {
      const key = randomUUID();
      const other = await tokenFor(first, agentOf(ours, 'user_other'));
      const foreign = await tokenFor(first, agentOf(theirs));
      const [mine, colleague, elsewhere] = await Promise.all([
        book(requestFor(freshSlot()), key),
        book(requestFor(freshSlot()), key, { token: other }),
        book(requestFor(theirs.slots[1] ?? '', theirs.patients[0]), key, { token: foreign }),
      ]);
      expect([mine.status, colleague.status, elsewhere.status]).toEqual([201, 201, 201]);
      expect(new Set([mine, colleague, elsewhere].map(({ body }) => body.appointmentId)).size).toBe(3);
    });

    it('lets a refused request try again with its key', async () => {
      const [slotId, key] = [freshSlot(), randomUUID()];
      await world.sql(`UPDATE slots SET status = 'blocked' WHERE id = $1`, [slotId]);
      expect((await book(requestFor(slotId), key)).status).toBe(409);
      await world.sql(`UPDATE slots SET status = 'available' WHERE id = $1`, [slotId]);
      expect((await book(requestFor(slotId), key)).status).toBe(201);
    });

    it('forgets a key after 24 hours', async () => {
      const key = randomUUID();
      const earlier = await book(requestFor(freshSlot()), key);
      await world.sql(`UPDATE idempotency_records SET expires_at = now() - interval '1 second'`);
      const later = await book(requestFor(freshSlot()), key);
      expect(later.status).toBe(201);
      expect(later.body.appointmentId).not.toBe(earlier.body.appointmentId);
    });
  });

  describe('afterwards', () => {
    it('reads, lists, reschedules and cancels, and gives the slot back each time', async () => {
      const [from, to] = [freshSlot(), freshSlot()];
      const { body: booked } = await book(requestFor(from, ours.patients[1]));
      const path = `/appointments/${booked.appointmentId}`;
      expect((await call(first, path, { token })).body).toEqual({
        ...booked,
        patientId: ours.patients[1],
        slotId: from,
      });

      const post = (action: string, body?: unknown) =>
        call(first, `${path}/${action}`, { method: 'POST', body, token, headers: { 'idempotency-key': randomUUID() } });
      const moved = await post('reschedule', { slotId: to });
      expect([moved.status, moved.body.slotId, moved.body.status]).toEqual([200, to, 'confirmed']);
      expect(
        await world.sql(`SELECT id, status FROM slots WHERE id = ANY($1) ORDER BY id`, [[from, to].sort()]),
      ).toEqual([from, to].sort().map((id) => ({ id, status: id === to ? 'booked' : 'available' })));

      expect((await post('cancel')).body).toMatchObject({ status: 'cancelled' });
      expect((await post('cancel')).status).toBe(409);
      expect((await post('reschedule', { slotId: from })).status).toBe(409);
      expect((await book(requestFor(to))).status).toBe(201);

      const list = await call<{ data: { appointmentId: string; status: string }[] }>(
        first,
        `/appointments?patientId=${ours.patients[1] ?? ''}`,
        { token },
      );
      expect(list.body.data).toEqual([
        expect.objectContaining({ appointmentId: booked.appointmentId, status: 'cancelled' }),
      ]);
    });

    it('does not move an appointment to a slot that is taken, and keeps the old one', async () => {
      const [from, taken] = [freshSlot(), freshSlot()];
      await book(requestFor(taken));
      const { body } = await book(requestFor(from));
      const answer = await call(first, `/appointments/${body.appointmentId}/reschedule`, {
        body: { slotId: taken },
        token,
        headers: { 'idempotency-key': randomUUID() },
      });
      expect(answer.status).toBe(409);
      expect(await world.sql(`SELECT status FROM slots WHERE id = $1`, [from])).toEqual([{ status: 'booked' }]);
    });

    it('pages through a day’s slots without missing or repeating one', async () => {
      const [day] = await world.sql<{ date: string }>(`SELECT date::text FROM slots WHERE practice_id = $1 LIMIT 1`, [
        ours.id,
      ]);
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page: Answer<{
          data: { id: string; date: string; time: string; status: string }[];
          nextCursor: string | null;
        }> = await call(first, `/slots?date=${day?.date ?? ''}&limit=37${cursor === null ? '' : `&cursor=${cursor}`}`, {
          token,
        });
        expect(page.status).toBe(200);
        seen.push(...page.body.data.map(({ id }) => id));
        cursor = page.body.nextCursor;
      } while (cursor !== null);
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen).toHaveLength(ours.slots.length);
      const free = await call<{ data: { status: string }[] }>(
        first,
        `/slots?date=${day?.date ?? ''}&status=available&limit=100`,
        { token },
      );
      expect(free.body.data.length).toBeGreaterThan(0);
      expect(free.body.data.every(({ status }) => status === 'available')).toBe(true);
    });

    it.each([
      '/slots',
      '/slots?date=tomorrow',
      '/slots?date=2026-02-30',
      '/slots?date=2026-04-24&limit=0',
      '/slots?date=2026-04-24&limit=101',
      '/slots?date=2026-04-24&cursor=abc',
      '/slots?date=2026-04-24&nosuch=1',
    ])('refuses %s', async (path) => {
      expect((await call(first, path, { token })).status).toBe(400);
    });
  });
});
