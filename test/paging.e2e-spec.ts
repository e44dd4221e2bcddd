import { call, tokenFor } from './support/api';
import { type Practice, seedPractice } from './support/practice';
import type { GateProcess } from './support/process';
import { SecurityContact } from './support/security-contact';
import { until } from './support/until';
import { World } from './support/world';

/** From the attempt until somebody knows, in milliseconds. */
const promisedMs = 5_000;
/** What a machine takes at most that others keep busy. */
const patienceMs = 30_000;
const workerOnly = { GATEHOUSE_ROLE: 'worker' };

describe('a request for another practice’s patient', () => {
  let world: World;
  let contact: SecurityContact;
  let api: GateProcess;
  let ours: Practice;
  let theirs: Practice;

  /** So many attempts of one user, all refused. */
  const attempt = async (user: string, times = 1) => {
    const token = await tokenFor(api, {
      sub: user,
      practice_id: ours.id,
      role: 'provider',
      usage_plan: 'internal',
    });
    for (let time = 0; time < times; time += 1) {
      expect((await call(api, `/patients/${theirs.patients[0] ?? ''}`, { token })).status).toBe(403);
    }
  };
  const eventsOf = (user: string) => contact.events.filter(({ payload }) => payload.custom_details.actor === user);
  const countsOf = (user: string) => eventsOf(user).map(({ payload }) => payload.custom_details.attempts);
  /** Long headers are folded. */
  const mailsOf = (user: string) =>
    contact.mails.map((mail) => mail.replace(/\r\n /g, ' ')).filter((mail) => mail.includes(`User: ${user}\r\n`));
  const told = (user: string, pages: number) =>
    until(
      () => eventsOf(user).length >= pages && mailsOf(user).length >= pages,
      patienceMs,
      () => `${user}: ${eventsOf(user).length} events, ${mailsOf(user).length} mails of ${pages}\n${worker.log}`,
    );
  /** Once all that there is to tell is told. */
  const settled = async () =>
    until(async () => {
      const [row] = await world.sql<{ n: number }>('SELECT count(*)::int AS n FROM security_notices');
      return row?.n === 0;
    });
  /** As if a user's minute of quiet were over. */
  const passMinute = (user: string) =>
    world.sql(`UPDATE security_pages SET last_paged_at = last_paged_at - interval '1 minute' WHERE actor = $1`, [user]);
  const passLeases = () => world.sql(`UPDATE security_notices SET next_attempt_at = now()`);
  const startWorker = () => world.start({ ...workerOnly, ...contact.environment });
  let worker: GateProcess;

  beforeAll(async () => {
    world = await World.create();
    contact = await SecurityContact.start();
    ours = await seedPractice(world, 'ours', { patients: 1, slots: 1 });
    theirs = await seedPractice(world, 'theirs', { patients: 40, slots: 1 });
    [api, worker] = await Promise.all([world.start({ GATEHOUSE_ROLE: 'api' }), startWorker()]);
  });
  afterAll(async () => {
    await world.end();
    await contact.end();
  });

  it('pages by mail and webhook within five seconds, and says who tried what, and no more', async () => {
    const waitedFor = async (user: string) => {
      await attempt(user);
      const attempted = performance.now();
      await told(user, 1);
      return performance.now() - attempted;
    };
    const first = await waitedFor('user_once');
    // A stall of the machine is not met each time.
    if (first > promisedMs) expect(await waitedFor('user_again')).toBeLessThanOrEqual(promisedMs);
    const [event] = eventsOf('user_once');
    expect(event).toEqual({
      routing_key: 'routing-key',
      event_action: 'trigger',
      dedup_key: expect.stringMatching(/^gatehouse-cross-practice-[0-9a-f]{32}$/) as string,
      payload: {
        summary: `Cross-practice access: user_once of ${ours.id} tried once to reach what is another practice's`,
        source: 'gatehouse',
        severity: 'critical',
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
        component: 'tenancy',
        group: ours.id,
        class: 'cross_practice_access',
        custom_details: {
          practice: ours.id,
          actor: 'user_once',
          attempts: 1,
          first_at: event?.payload.custom_details.first_at,
          last_at: event?.payload.custom_details.first_at,
          audit_entries: expect.stringMatching(/^(\d+)-\1$/) as string,
          named_attempts: [
            {
              at: event?.payload.custom_details.first_at,
              route: 'GET /patients/:id',
              subjects: [theirs.patients[0]],
              subjectPractice: theirs.id,
              correlationId: expect.any(String) as string,
            },
          ],
        },
      },
    });
    expect(contact.posted.every(({ authorization }) => authorization === undefined)).toBe(true);
    const [mail = ''] = mailsOf('user_once');
    expect(mail).toContain(`Message-ID: <${event?.dedup_key ?? ''}@example.test>`);
    expect(mail).toContain('To: security@example.test');
    expect(mail).toContain(theirs.patients[0]);
    expect(mail + JSON.stringify(event)).not.toMatch(/First\d|Last\d|\+1555|@example\.com|1990-01-01/);
  });

  it('pages once a minute for a user who goes on, and counts every attempt', async () => {
    await attempt('user_eager');
    await told('user_eager', 1);
    await attempt('user_eager', 29);
    // Whoever comes later is paged for; the eager one was passed by.
    await attempt('user_later');
    await told('user_later', 1);
    expect(countsOf('user_eager')).toEqual([1]);
    expect(mailsOf('user_eager')).toHaveLength(1);
    await passMinute('user_eager');
    await told('user_eager', 2);
    expect(countsOf('user_eager')).toEqual([1, 29]);
    const [, { payload } = { payload: undefined }] = eventsOf('user_eager');
    expect(payload?.custom_details.named_attempts).toHaveLength(10);
    expect(mailsOf('user_eager')[1]).toMatch(/Attempts: 29, .*and 19 more/s);
    await passMinute('user_eager');
    await attempt('user_last');
    await told('user_last', 1);
    expect(countsOf('user_eager')).toEqual([1, 29]);
  });

  it('pages for an attempt of somebody whose role may not read at all, and counts every one of a flood', async () => {
    const claims = { sub: 'user_officer', practice_id: ours.id, role: 'security_officer', usage_plan: 'internal' };
    const token = await tokenFor(api, claims);
    const [foreign = ''] = theirs.patients;
    const asked = [`/patients/${foreign}`, `/appointments?patientId=${foreign}`, `/patients/${ours.patients[0] ?? ''}`];
    for (const path of asked) expect((await call(api, path, { token })).status).toBe(403);
    const body = { patientId: foreign, slotId: theirs.slots[0], type: 'follow_up' };
    const booking = { token, body, headers: { 'idempotency-key': 'an-attempt' } };
    expect((await call(api, '/appointments', booking)).status).toBe(403);
    // What stands behind other things, or in a list, is seen, too.
    const padding = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`a${n}`, 1]));
    const lists = { ...booking, body: { ...padding, patientId: [foreign] } };
    expect((await call(api, '/appointments', lists)).status).toBe(403);
    expect((await call(api, `/appointments?patientId=x&patientId=${foreign}`, { token })).status).toBe(403);
    const names = Array.from({ length: 250 }, (_, n) => `n${n}Id=aa_${n}`).join('&');
    expect((await call(api, `/appointments?${names}`, booking)).status).toBe(403);
    const nobodies = Array.from({ length: 150 }, (_, n) => `n${n}Id=pat_nobody${n}`).join('&');
    expect((await call(api, `/patients/${foreign}?${nobodies}`, { token })).status).toBe(403);
    // What stood behind those is not looked for, and said to be lost.
    expect((await call(api, '/metrics')).text).toMatch(/^audit_entries_lost_total [1-9]/m);
    const walked = theirs.patients.slice(0, 40);
    await Promise.all(walked.map((id) => call(api, `/patients/${id}`, { token })));
    await told('user_officer', 1);
    // By path, by query, by body, in two lists, behind 250 names, before 150 patients, and a walk through all of theirs.
    await until(async () => {
      await passMinute('user_officer');
      return countsOf('user_officer').reduce((sum, count) => sum + count, 0) === 47;
    });
    const recorded = await world.sql<{ id: string }>(
      `SELECT DISTINCT json_array_elements_text(body -> 'subjects') AS id FROM audit_entries
       WHERE actor = 'user_officer' AND body ->> 'code' = 'cross_practice'`,
    );
    expect(recorded.map(({ id }) => id).sort()).toEqual([...walked].sort());
    const padded = `SELECT FROM audit_entries WHERE actor = 'user_officer' AND body -> 'subjects' ->> 19 = 'aa_19'`;
    expect(await world.sql(padded)).toHaveLength(1);
    expect((eventsOf('user_officer')[0]?.payload.custom_details.named_attempts as unknown[])[0]).toMatchObject({
      route: 'GET /patients/:id',
      subjects: [foreign],
      subjectPractice: theirs.id,
    });
    await settled();
  });

  it('pages for an attempt that failed before anybody looked whose it was', async () => {
    const claims = { sub: 'user_hasty', practice_id: ours.id, role: 'scheduling_agent', usage_plan: 'internal' };
    const token = await tokenFor(api, claims);
    const body = { patientId: 'pat_nobody1', slotId: theirs.slots[0], type: 'follow_up' };
    const booking = { token, body, headers: { 'idempotency-key': 'a-hasty-attempt' } };
    expect((await call(api, '/appointments', booking)).status).toBe(404);
    await told('user_hasty', 1);
    await settled();
    expect(countsOf('user_hasty')).toEqual([1]);
  });

  it('finds out whose it was once Postgres answers again, and pages nobody for an id that another practice made up', async () => {
    const claims = { sub: 'user_waiting', practice_id: ours.id, role: 'security_officer', usage_plan: 'internal' };
    const token = await tokenFor(api, claims);
    const locker = await world.clientOf('superuser');
    // An id of ours, which another kind of thing of theirs has, too.
    const [own = ''] = ours.slots;
    await locker.query(
      `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, phone) VALUES ($1, $2, 'A', 'B', '1990-01-01', '+1')`,
      [theirs.id, own],
    );
    const foreign = theirs.patients[0] ?? '';
    await locker.query('ALTER FUNCTION owners_of(text[]) RENAME TO owners_away');
    for (const id of [foreign, own])
      expect((await call(api, `/appointments?patientId=${id}`, { token })).status).toBe(403);
    await until(() => api.log.includes('is looked up again'));
    expect(eventsOf('user_waiting')).toEqual([]);
    await locker.query('ALTER FUNCTION owners_away(text[]) RENAME TO owners_of');
    await locker.end();
    await told('user_waiting', 1);
    await settled();
    expect(countsOf('user_waiting')).toEqual([1]);
  });

  it('pages once, however many workers there are', async () => {
    const other = await startWorker();
    const users = Array.from({ length: 8 }, (_, n) => `user_many_${n}`);
    await Promise.all(users.map((user) => attempt(user, 3)));
    await Promise.all(users.map((user) => told(user, 1)));
    await Promise.all(users.map(passMinute));
    await until(() => users.every((user) => countsOf(user).reduce((sum, count) => sum + count, 0) >= 3));
    await settled();
    for (const user of users) {
      expect(countsOf(user).reduce((sum, count) => sum + count, 0)).toBe(3);
      expect(mailsOf(user)).toHaveLength(eventsOf(user).length);
      expect(new Set(eventsOf(user).map(({ dedup_key }) => dedup_key)).size).toBe(eventsOf(user).length);
    }
    await other.end('SIGKILL');
  });

  it('reaches the mailbox while the webhook is dead, and the webhook later, each once', async () => {
    contact.webhook = 'down';
    await attempt('user_dead_hook');
    await until(() => mailsOf('user_dead_hook').length === 1, patienceMs);
    await until(() => contact.posted.some(({ event }) => event.payload.custom_details.actor === 'user_dead_hook'));
    contact.webhook = 'ok';
    await told('user_dead_hook', 1);
    await settled();
    expect([countsOf('user_dead_hook'), mailsOf('user_dead_hook').length]).toEqual([[1], 1]);
    const { text } = await call(worker, '/metrics');
    expect(text).toMatch(/^security_pages_total\{channel="webhook",outcome="retry"\} [1-9]/m);
  });

  it('reaches the webhook while the mail server refuses, and the mailbox later', async () => {
    contact.smtp = 'down';
    await attempt('user_dead_mail');
    await until(() => eventsOf('user_dead_mail').length === 1 && contact.refusedMails > 0, patienceMs);
    expect(mailsOf('user_dead_mail')).toEqual([]);
    contact.smtp = 'ok';
    await told('user_dead_mail', 1);
  });

  it('is paged for by the next worker where one was killed while it sent, under the same name', async () => {
    contact.webhook = 'mute';
    await attempt('user_crash');
    const postsOf = () => contact.posted.filter(({ event }) => event.payload.custom_details.actor === 'user_crash');
    await until(() => postsOf().length === 1 && mailsOf('user_crash').length === 1, patienceMs);
    await worker.end('SIGKILL');
    // However long what follows takes, the lease of who was killed holds.
    await world.sql(`UPDATE security_notices SET next_attempt_at = next_attempt_at + interval '1 hour'`);
    contact.webhook = 'ok';
    await attempt('user_between');
    worker = await startWorker();
    await told('user_between', 1);
    expect(eventsOf('user_crash')).toEqual([]);
    await passLeases();
    await told('user_crash', 1);
    await settled();
    expect(new Set(postsOf().map(({ event }) => event.dedup_key)).size).toBe(1);
    expect([postsOf().length, eventsOf('user_crash').length]).toEqual([2, 1]);
  });

  it('waits where there is no contact, is seen in the metrics, and is told once there is one', async () => {
    await worker.end();
    const deaf = await world.start({ ...workerOnly, SECURITY_EMAIL: 'security@example.test' });
    await until(() => deaf.log.includes('SECURITY_EMAIL is set without SMTP_URL'));
    await attempt('user_unheard');
    await until(async () => {
      const { text } = await call(deaf, '/metrics');
      return /^security_page_oldest_seconds (?!0$)/m.test(text) && /^security_contacts 0$/m.test(text);
    }, 15_000);
    await deaf.end();
    worker = await startWorker();
    await told('user_unheard', 1);
  });

  it('is found by an index, however long the audit log is', async () => {
    await world.sql(
      `INSERT INTO audit_entries (body, hash)
       SELECT json_build_object('practice', 'practice_long', 'seq', n, 'actor', 'user_' || n % 50, 'action', 'patient.read',
         'outcome', 'allowed', 'subjects', '[]'::json), sha256('') FROM generate_series(1, 50000) n`,
    );
    const scans = async () => {
      const [row] = await world.sql<{ sequential: number; indexed: number }>(
        `SELECT pg_stat_force_next_flush() IS NULL AS flushed,
           (SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'audit_entries')::int AS sequential,
           (SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'audit_entries_cross_practice')::int AS indexed`,
      );
      return { sequential: row?.sequential ?? 0, indexed: row?.indexed ?? 0 };
    };
    await world.sql('ANALYZE audit_entries');
    const before = await scans();
    await attempt('user_needle');
    await told('user_needle', 1);
    await until(async () => (await scans()).indexed > before.indexed, 15_000);
    expect((await scans()).sequential).toBe(before.sequential);
  });
});
