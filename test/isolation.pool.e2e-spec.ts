import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import type { Client } from 'pg';
import { type Answer, call, tokenFor } from './support/api';
import { ada, type PatientBody, type PatientsClient, patientsAs } from './support/patients';
import { type Practice, seedPractice } from './support/practice';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { World } from './support/world';

/** What waits for a locked row ends here. */
const deadlineMs = 3_000;
const rounds = 2;

/** A practice's caller. All that belongs to the practice says so: its ids, and the last names of its patients. */
interface Side {
  readonly practice: Practice;
  readonly name: string;
  readonly token: string;
  readonly patients: PatientsClient;
}

/** A request of the one that fails, or is left. */
type Disturbance = (own: Side, other: Side) => Promise<void>;

describe('one connection for the requests of two practices in turn', () => {
  let world: World;
  let gate: GateProcess;
  let holder: Client;
  let sides: readonly [Side, Side];
  let nextSlot = 0;

  beforeAll(async () => {
    world = await World.create();
    gate = await world.start({
      GATEHOUSE_ROLE: 'api',
      // One is for critical work alone: bookings have both, everything else has one.
      DATABASE_POOL_SIZE: '2',
      DATABASE_POOL_CRITICAL: '1',
      DEADLINE_MS: String(deadlineMs),
    });
    sides = [await sideOf('left'), await sideOf('right')];
    holder = await world.clientOf('superuser');
    await holder.query('BEGIN');
    await holder.query('SELECT FROM patients WHERE id = ANY($1) FOR UPDATE', [sides.map(locked)]);
  });
  afterAll(async () => {
    await holder.end();
    await world.end();
  });

  const lastNameOf = (name: string) => `Of ${name}`;
  /** The patient whose row somebody holds: it can be read, and not changed. */
  const locked = ({ practice }: Pick<Side, 'practice'>): string => practice.patients.at(-1) ?? '';
  const free = ({ practice }: Side): string => practice.patients[0] ?? '';

  async function sideOf(name: string): Promise<Side> {
    const practice = await seedPractice(world, name, { patients: 4, slots: 500 });
    await world.sql('UPDATE patients SET last_name = $2 WHERE practice_id = $1', [practice.id, lastNameOf(name)]);
    const claims = { sub: 'user_of_many', role: 'practice_admin', usage_plan: 'internal' };
    const token = await tokenFor(gate, { ...claims, practice_id: practice.id });
    return { practice, name, token, patients: patientsAs(gate, token) };
  }

  const waitsForRow = async () =>
    (
      await world.sql(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = 'gatehouse_api' AND wait_event_type = 'Lock'`,
      )
    ).length > 0;

  const book = ({ practice, token }: Side, slotId = ''): Promise<Answer> =>
    call(gate, '/appointments', {
      token,
      body: { patientId: practice.patients[0], slotId, type: 'follow_up' },
      headers: { 'idempotency-key': randomUUID() },
    });

  /** Sends a request and leaves: once it waits for the row, where it comes to one, or else with the answer under way. */
  async function leave({ token }: Side, method: string, path: string, body?: unknown, waits = false): Promise<void> {
    const sent = request(`${gate.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'idempotency-key': randomUUID(),
      },
    });
    sent.on('error', () => undefined);
    await new Promise<void>((resolve) => sent.end(body === undefined ? undefined : JSON.stringify(body), resolve));
    if (waits) await until(waitsForRow);
    await new Promise((resolve) => sent.once('close', resolve).destroy());
    // Its statement goes on to its end, or to the deadline.
    if (waits) await until(async () => !(await waitsForRow()));
  }

  function expectOwn({ name }: Side, rows: readonly PatientBody[]): void {
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.map(({ lastName }) => lastName)).toEqual(rows.map(() => lastNameOf(name)));
  }

  /** Reads and writes in every way, and finds the own rows alone, and all of them. */
  async function work(own: Side): Promise<void> {
    const { patients, practice, token } = own;
    const got = await patients.get(free(own));
    expect([got.status, got.body.id]).toEqual([200, free(own)]);
    expectOwn(own, [got.body]);
    const everyone: Record<string, string> = { limit: '100' };
    for (const query of [everyone, { ...everyone, search: 'of' }]) {
      const listed = await patients.list(query);
      expect(listed.status).toBe(200);
      expectOwn(own, listed.body.data);
      expect(listed.body.data.map(({ id }) => id)).toEqual(expect.arrayContaining([...practice.patients]));
    }
    const changed = await patients.update(free(own), { insuranceProvider: `By ${own.name}` });
    expect([changed.status, changed.body.insuranceProvider]).toEqual([200, `By ${own.name}`]);
    expectOwn(own, [changed.body]);
    const created = await patients.create({ ...ada, lastName: lastNameOf(own.name) });
    expect(created.status).toBe(201);
    expectOwn(own, [(await patients.get(created.body.id)).body]);

    const slotId = practice.slots[(nextSlot += 1)];
    expect((await book(own, slotId)).status).toBe(201);
    for (const path of ['/appointments?limit=100', `/patients/${free(own)}/appointments?limit=100`]) {
      const { status, body } = await call<{ data: { slotId: string; patientId: string }[] }>(gate, path, { token });
      expect(status).toBe(200);
      expect(body.data.map(({ slotId }) => slotId)).toContain(slotId);
      for (const appointment of body.data) {
        expect([appointment.patientId, appointment.slotId]).toEqual([
          free(own),
          expect.stringMatching(new RegExp(`^slot_${own.name}\\d+$`)),
        ]);
      }
    }
  }

  const expectStatus = async (answer: Promise<Answer<unknown>>, status: number): Promise<void> => {
    const { status: told, text } = await answer;
    expect([told, text]).toEqual([status, expect.not.stringContaining('Of ')]);
  };

  const disturbances: Record<string, Disturbance> = {
    'a refused body (400)': ({ patients }) => expectStatus(patients.create({ ...ada, firstName: '' }), 400),
    'a patient that nobody has (404)': ({ patients }) => expectStatus(patients.get('pat_nobody'), 404),
    'the other’s patient, read (403)': ({ patients }, other) => expectStatus(patients.get(free(other)), 403),
    'the other’s patient, changed (403)': ({ patients }, other) =>
      expectStatus(patients.update(free(other), { firstName: 'Not' }), 403),
    'a booking with the other’s patient (403)': ({ practice, token }, other) =>
      expectStatus(
        call(gate, '/appointments', {
          token,
          body: { patientId: free(other), slotId: practice.slots.at(-1), type: 'follow_up' },
          headers: { 'idempotency-key': randomUUID() },
        }),
        403,
      ),
    'a slot that is taken (409)': async (own) => {
      const slotId = own.practice.slots[(nextSlot += 1)];
      await book(own, slotId);
      await expectStatus(book(own, slotId), 409);
    },
    'a key that was used for something else (422)': async ({ patients, name }) => {
      const [key, lastName] = [randomUUID(), lastNameOf(name)];
      await patients.create({ ...ada, lastName }, key);
      await expectStatus(patients.create({ ...ada, firstName: 'Not', lastName }, key), 422);
    },
    'a change that runs into the deadline (504)': (own) =>
      expectStatus(own.patients.update(locked(own), { firstName: 'Not' }), 504),
    'a change that is left while it waits': (own) =>
      leave(own, 'PATCH', `/patients/${locked(own)}`, { firstName: 'Not' }, true),
    'a list that is left': (own) => leave(own, 'GET', '/patients?limit=100'),
    'a creation that is left': (own) => leave(own, 'POST', '/patients', { ...ada, lastName: lastNameOf(own.name) }),
    'a booking that is left': ({ practice, ...own }) =>
      leave({ practice, ...own }, 'POST', '/appointments', {
        patientId: practice.patients[0],
        slotId: practice.slots[(nextSlot += 1)],
        type: 'follow_up',
      }),
  };

  it.each(Object.entries(disturbances))('shows and changes nobody the other’s rows behind %s', async (_, disturb) => {
    const [left, right] = sides;
    for (let round = 0; round < rounds; round += 1) {
      await disturb(left, right);
      await work(right);
      await disturb(right, left);
      await work(left);
    }
  });

  it('nor with all of that at once', async () => {
    const [left, right] = sides;
    // What waits for a row holds the one connection for as long as the others may take: not beside them.
    const quick = Object.entries(disturbances).filter(([name]) => !/504|while it waits/.test(name));
    await Promise.all(
      [left, right].map(async (own) => {
        for (const [, disturb] of quick) await Promise.all([disturb(own, own === left ? right : left), work(own)]);
      }),
    );
  });

  it('and in the end each row is where it belongs', async () => {
    const [{ sessions }] = (await world.sql<{ sessions: number }>(
      `SELECT count(*)::int AS sessions FROM pg_stat_activity WHERE datname = current_database() AND usename = 'gatehouse_api'`,
    )) as [{ sessions: number }];
    expect(sessions).toBeLessThanOrEqual(2);
    const misplaced = await world.sql(
      `SELECT id FROM patients WHERE last_name <> 'Of ' || substr(practice_id, 10) OR first_name = 'Not'
         OR insurance_provider <> 'By ' || substr(practice_id, 10)
       UNION ALL
       SELECT id FROM appointments WHERE slot_id NOT LIKE 'slot\\_' || substr(practice_id, 10) || '%'`,
    );
    expect(misplaced).toEqual([]);
  });
});
