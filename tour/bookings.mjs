// @ts-check
import { randomUUID } from 'node:crypto';

/** A scheduling agent's morning. @param {import('./guide.mjs').Guide} guide */
export async function bookings(guide) {
  guide.chapter('Bookings: a scheduling agent of practice_p001');
  const agent = { sub: 'user_tour', role: 'scheduling_agent', practice_id: 'practice_p001', usage_plan: 'enterprise' };
  const token = await guide.token(agent);

  const me = await guide.call('/me', { token });
  guide.tell(
    me.body.practiceId === 'practice_p001',
    'GET /me says who calls: an agent of practice_p001',
    'authentication: verified once, then remembered under the token’s SHA-256',
  );

  const stranger = await guide.call('/slots?date=2026-01-01');
  guide.tell(
    stranger.status === 401,
    'without a token: 401, and WWW-Authenticate says how',
    'authentication: closed by default',
  );

  const free = await freeSlots(guide, token);
  const [slot, other, third] = free;
  if (!slot || !other || !third)
    throw new Error('The demo data has no free slots left; start the server again tomorrow');
  guide.tell(
    free.length > 2,
    `GET /slots finds free slots on ${slot.date}`,
    'tenancy: the practice’s own, by the claim, the query and row-level security',
  );

  const request = { patientId: 'pat_demo0001', slotId: slot.id, type: 'comprehensive_exam' };
  const key = randomUUID();
  const clicks = await Promise.all([
    guide.call('/appointments', { token, key, body: request }),
    guide.call('/appointments', { token, key, body: request }),
  ]);
  const [one, two] = clicks.map(({ body }) => JSON.stringify(body));
  const replays = clicks.filter(({ headers }) => headers.get('idempotent-replayed') === 'true').length;
  guide.tell(
    clicks.every(({ status }) => status === 201) && one === two && replays === 1,
    `a double click books ${slot.date} ${slot.time} once: two identical 201s, one marked Idempotent-Replayed`,
    'idempotency: the record commits with the appointment, in one transaction',
  );

  const changed = await guide.call('/appointments', { token, key, body: { ...request, slotId: other.id } });
  guide.tell(
    changed.status === 422,
    'the same key with another body: 422',
    'idempotency: a key belongs to one request',
  );

  const taken = await guide.call('/appointments', { token, key: randomUUID(), body: request });
  guide.tell(
    taken.status === 409 && taken.body.code === 'slot_taken',
    'the slot again, with a new key: 409 slot_taken',
    'bookings: one conditional update decides every race',
  );

  const foreign = await guide.call('/appointments', {
    token,
    key: randomUUID(),
    body: { ...request, slotId: other.id, patientId: 'pat_demo0101' },
  });
  guide.tell(
    foreign.status === 403,
    'a patient of practice_p002: 403, counted and audited as a cross-practice attempt',
    'tenancy: three walls, and an alarm with threshold zero',
  );

  const unknown = await guide.call('/appointments', {
    token,
    key: randomUUID(),
    body: { ...request, slotId: other.id, isAdmin: true },
  });
  guide.tell(
    unknown.status === 400 && unknown.body.errors[0].path === '/isAdmin',
    'a property nobody asked for: 400 that names /isAdmin',
    'validation: before a database connection is spent',
  );

  const attack = await guide.call(`/slots?date=${encodeURIComponent("2026-01-01' OR 1=1 --")}`, { token });
  guide.tell(
    attack.status === 403,
    'SQL in the query: 403 with a rule id',
    'firewall: signatures, each with its false-positive tests',
  );

  const appointmentId = clicks[0]?.body.appointmentId;
  await guide.until(
    () => guide.sent(),
    (sent) => JSON.stringify(sent.crm).includes(appointmentId),
    'the CRM heard of the appointment',
  );
  guide.tell(
    true,
    'the patient’s SMS went out and the CRM heard of it',
    'outbox: the event committed with the booking, the relay carried it to three queues',
  );

  await guide.outsideIs({ crm: 'down' });
  try {
    const before = (await guide.sent()).sms.length;
    const despite = await guide.call('/appointments', {
      token,
      key: randomUUID(),
      body: { ...request, slotId: other.id },
    });
    await guide.until(
      () => guide.sent(),
      (sent) => sent.sms.length > before,
      'an SMS while the CRM is down',
    );
    guide.tell(
      despite.status === 201,
      `with a dead CRM: booked in ${Math.round(despite.milliseconds)} ms, SMS sent all the same`,
      'queues: each consumer has its own, with its own retries',
    );
    await guide.outsideIs({ crm: 'ok' });
    await guide.until(
      () => guide.sent(),
      (sent) => JSON.stringify(sent.crm).includes(despite.body.appointmentId),
      'the CRM caught up',
    );
    guide.tell(true, 'the CRM is back and has caught up', 'queues: the retry waited in Postgres, not in Redis');
  } finally {
    await guide.outsideIs({ crm: 'ok' });
  }

  const operator = await guide.token({ sub: 'user_operator', role: 'operator' });
  const jti = randomUUID();
  const doomed = await guide.token({ ...agent, sub: 'user_leaver', jti });
  await guide.call('/me', { token: doomed });
  const revoked = await guide.call('/auth/revocations', { token: operator, body: { jti } });
  const start = performance.now();
  await guide.until(
    () => guide.call('/me', { token: doomed }),
    ({ status }) => status === 401,
    'a revoked token is refused',
  );
  guide.tell(
    revoked.status < 300,
    `a revoked token stops working after ${Math.round(performance.now() - start)} ms, cached or not`,
    'authoriser cache: kept 300 s, invalidated at once',
  );
}

/** Free slots of the first of the coming days that has three. @param {import('./guide.mjs').Guide} guide @param {string} token */
async function freeSlots(guide, token) {
  for (let day = 2; day < 14; day += 1) {
    const date = new Date(Date.now() + day * 86_400_000).toISOString().slice(0, 10);
    const { status, body } = await guide.call(`/slots?date=${date}&status=available&limit=100`, { token });
    if (status !== 200) throw new Error(`GET /slots answered ${status}`);
    if (body.data.length >= 3) return body.data;
  }
  return [];
}
