import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { patientPermissions } from '../src/domains/patients/patients.permissions';
import { permissionsDocument } from '../src/permissions';
import { call, tokenFor } from './support/api';
import {
  ada,
  type PatientBody,
  type PatientPage,
  type PatientsClient,
  patientsAs,
  type Refused,
} from './support/patients';
import { root } from './support/places';
import { type Practice, seedPractice } from './support/practice';
import type { GateProcess } from './support/process';
import { World } from './support/world';

describe('patients', () => {
  let world: World;
  let gate: GateProcess;
  let ours: Practice;
  let theirs: Practice;
  let token: string;
  let patients: PatientsClient;

  beforeAll(async () => {
    world = await World.create();
    ours = await seedPractice(world, 'ours', { patients: 25, slots: 4 });
    theirs = await seedPractice(world, 'theirs', { patients: 1, slots: 1 });
    gate = await world.start();
    token = await tokenFor(gate, {
      sub: 'user_agent',
      practice_id: ours.id,
      role: 'scheduling_agent',
      usage_plan: 'internal',
    });
    patients = patientsAs(gate, token);
  });
  afterAll(() => world.end());

  it('answers with the nine fields and no other', async () => {
    await world.sql(`ALTER TABLE patients ADD COLUMN unlisted text DEFAULT '000-00-0000'`);
    const { status, body, text } = await call(gate, `/patients/${ours.patients[0] ?? ''}`, { token });
    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual([
      'id',
      'firstName',
      'lastName',
      'dateOfBirth',
      'phone',
      'email',
      'insuranceProvider',
      'nextAppointment',
      'lastVisit',
    ]);
    expect(body).toMatchObject({
      firstName: 'First1',
      dateOfBirth: '1990-01-01',
      nextAppointment: null,
      lastVisit: null,
    });
    expect(text).not.toContain('000-00-0000');
  });

  it('knows the next appointment once it is booked, wherever it is moved, and the last visit once it was', async () => {
    const [id = '', first = '', second = ''] = [ours.patients[1], ours.slots[0], ours.slots[3]];
    const change = (path: string, body: unknown) =>
      call(gate, path, { token, body, headers: { 'idempotency-key': randomUUID() } });
    const startOf = async (slot: string) =>
      (await world.sql<{ at: Date }>('SELECT starts_at AS at FROM slots WHERE id = $1', [slot]))[0]?.at;
    const seen = async () => {
      const { body } = await call<PatientBody>(gate, `/patients/${id}`, { token });
      return [body.nextAppointment, body.lastVisit].map((at) => at && new Date(at));
    };
    const booked = await change('/appointments', { patientId: id, slotId: first, type: 'follow_up' });
    expect(await seen()).toEqual([await startOf(first), null]);
    const moved = await change(`/appointments/${String(booked.body.appointmentId)}/reschedule`, { slotId: second });
    expect(moved.status).toBe(200);
    expect(await seen()).toEqual([await startOf(second), null]);
    await world.sql(`UPDATE slots SET starts_at = date_trunc('second', now()) - interval '1 hour' WHERE id = $1`, [
      second,
    ]);
    expect(await seen()).toEqual([null, await startOf(second)]);
  });

  it('forbids another practice’s patient, says nothing of it, and counts the attempt', async () => {
    const attempts = async () =>
      Number(/^cross_practice_access_attempts_total (\d+)/m.exec((await call(gate, '/metrics')).text)?.[1]);
    const before = await attempts();
    const { status, body, text } = await call(gate, `/patients/${theirs.patients[0] ?? ''}`, { token });
    expect([status, body.error]).toEqual([403, 'Forbidden']);
    expect(text).not.toContain(theirs.id);
    expect(await attempts()).toBe(before + 1);
  });

  it('does not know an id that nobody has', async () => {
    expect((await call(gate, '/patients/pat_nobody', { token })).status).toBe(404);
  });

  it('lists all of the practice by name, page by page, with no name in a cursor', async () => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const path = `/patients?limit=10${cursor === null ? '' : `&cursor=${cursor}`}`;
      const page: PatientPage = (await call<PatientPage>(gate, path, { token })).body;
      seen.push(...page.data.map(({ lastName }) => lastName));
      cursor = page.nextCursor;
      expect(Buffer.from(cursor ?? '', 'base64url').toString()).not.toContain('Last');
    } while (cursor !== null);
    expect(seen).toHaveLength(25);
    expect(seen).toEqual([...seen].sort());
  });

  describe('creating', () => {
    it('answers 201 with the nine fields, and the same to the same key', async () => {
      const key = randomUUID();
      const request = {
        ...ada,
        phone: '+1 (555) 010-0001',
        email: 'ada@example.com',
        insuranceProvider: 'Acme Vision',
      };
      const { status, body, text } = await patients.create(request, key);
      expect(status).toBe(201);
      expect(body).toEqual({ id: body.id, ...request, nextAppointment: null, lastVisit: null });
      expect(body.id).toMatch(/^pat_[0-9a-z]{26}$/);
      const again = await patients.create(request, key);
      expect([again.status, again.text]).toEqual([201, text]);
      expect((await patients.get(body.id)).body).toEqual(body);
    });

    it('needs a key', async () => {
      const { status, body } = await call<Refused>(gate, '/patients', { token, body: ada });
      expect([status, body.code]).toEqual([400, 'idempotency_key_missing']);
    });

    it('keeps names of any script as they were written', async () => {
      for (const lastName of [
        'O’Brien',
        "D'Angelo",
        'Núñez',
        '李',
        'देवनागरी',
        'ال‍عربي',
        '👩‍⚕️',
        'or 1=1--',
        '😀'.repeat(50),
      ]) {
        const { status, body } = await patients.create({ ...ada, lastName });
        expect([status, body.lastName]).toEqual([201, lastName]);
      }
    });

    it('tells the outbox with ids and names of fields alone', async () => {
      const { body } = await patients.create({ ...ada, notes: 'a note', ssn: '000-12-3456', phone: null });
      const [event] = await world.sql(
        `SELECT tenant_id, type, payload FROM outbox_events WHERE payload->>'patientId' = $1`,
        [body.id],
      );
      expect(event).toEqual({
        tenant_id: ours.id,
        type: 'patient.created',
        payload: {
          patientId: body.id,
          fields: expect.arrayContaining(['firstName', 'lastName', 'dateOfBirth', 'phone', 'ssn', 'notes']) as unknown,
        },
      });
    });
  });

  describe('updating', () => {
    it('changes what is named, keeps the rest, and clears with null', async () => {
      const created = await patients.create({ ...ada, phone: '5550100001', email: 'ada@example.com' });
      const { id } = created.body;
      const changed = await patients.update(id, { lastName: 'Byron', email: null });
      expect(changed.status).toBe(200);
      expect(changed.body).toEqual({ ...created.body, lastName: 'Byron', email: null });
      expect((await patients.get(id)).body).toEqual(changed.body);
      const [event] = await world.sql(
        `SELECT payload FROM outbox_events WHERE type = 'patient.updated' AND payload->>'patientId' = $1`,
        [id],
      );
      expect(event?.payload).toEqual({ patientId: id, fields: ['lastName', 'email'] });
    });

    it('takes a JSON merge patch under its own media type', async () => {
      const { id } = (await patients.create(ada)).body;
      const headers = { 'content-type': 'application/merge-patch+json' };
      expect((await patients.update(id, { firstName: 'Augusta' }, headers)).body.firstName).toBe('Augusta');
    });

    it('loses no field to another change at the same time', async () => {
      const { id } = (await patients.create({ ...ada, notes: 'kept', ssn: '000123456' })).body;
      for (let round = 0; round < 20; round += 1) {
        const firstName = `First${round}`;
        const phone = `55501000${String(round).padStart(2, '0')}`;
        await Promise.all([
          patients.update(id, { firstName }),
          patients.update(id, { phone }),
          patients.update(id, { email: `n${round}@example.com` }),
        ]);
        expect((await patients.get(id)).body).toMatchObject({ firstName, phone, email: `n${round}@example.com` });
      }
    });

    it('is nothing that a practice can do which does not exist', async () => {
      const token = await tokenFor(gate, { sub: 'user_a', practice_id: 'practice_gone', role: 'practice_admin' });
      const { status, body } = await patientsAs(gate, token).create<Refused>(ada);
      expect([status, body.code]).toEqual([403, 'tenant_unknown']);
    });

    it('refuses a body that names nothing', async () => {
      const { id } = (await patients.create(ada)).body;
      const { status, body } = await patients.update<Refused>(id, {});
      expect([status, body.code, body.errors?.[0]?.path]).toEqual([400, 'validation_failed', '']);
    });

    it('forbids another practice’s patient and does not know one that nobody has', async () => {
      expect((await patients.update(theirs.patients[0] ?? '', { firstName: 'X' })).status).toBe(403);
      expect((await patients.update('pat_nobody', { firstName: 'X' })).status).toBe(404);
      const [untouched] = await world.sql(`SELECT first_name FROM patients WHERE id = $1`, [theirs.patients[0]]);
      expect(untouched).toEqual({ first_name: 'First1' });
    });
  });

  describe('a patient’s appointments', () => {
    it('are paged, and empty where there are none', async () => {
      const { id } = (await patients.create(ada)).body;
      const path = `/patients/${id}/appointments`;
      expect((await call(gate, path, { token })).body).toEqual({ data: [], nextCursor: null });
      for (const slotId of ours.slots.slice(1, 3)) {
        const body = { patientId: id, slotId, type: 'follow_up' };
        await call(gate, '/appointments', { token, body, headers: { 'idempotency-key': randomUUID() } });
      }
      interface AppointmentPage {
        data: { patientId: string; slotId: string }[];
        nextCursor: string | null;
      }
      const first = (await call<AppointmentPage>(gate, `${path}?limit=1`, { token })).body;
      const rest = (await call<AppointmentPage>(gate, `${path}?limit=1&cursor=${first.nextCursor ?? ''}`, { token }))
        .body;
      expect([...first.data, ...rest.data].map(({ patientId, slotId }) => [patientId, slotId])).toEqual(
        ours.slots.slice(1, 3).map((slotId) => [id, slotId]),
      );
      expect(rest.nextCursor).toBeNull();
    });

    it('of another practice’s patient are forbidden, of nobody’s unknown', async () => {
      expect((await call(gate, `/patients/${theirs.patients[0] ?? ''}/appointments`, { token })).status).toBe(403);
      expect((await call(gate, '/patients/pat_nobody/appointments', { token })).status).toBe(404);
    });
  });

  describe('is for the roles of docs/permissions.md', () => {
    const attempts: [keyof typeof patientPermissions, (as: string) => Promise<{ status: number }>][] = [
      ['patients.search', (as) => call(gate, '/patients?search=ada', { token: as })],
      ['patients.read', (as) => call(gate, `/patients/${ours.patients[0] ?? ''}`, { token: as })],
      ['patients.create', (as) => patientsAs(gate, as).create(ada)],
      ['patients.update', (as) => patientsAs(gate, as).update(ours.patients[2] ?? '', { email: null })],
      ['patients.appointments', (as) => call(gate, `/patients/${ours.patients[0] ?? ''}/appointments`, { token: as })],
    ];
    const everyRole = [
      'scheduling_agent',
      'provider',
      'practice_admin',
      'security_officer',
      'editor',
      'rider',
      'driver',
      'operator',
    ];

    it.each(everyRole)('as a %s', async (role) => {
      const as = await tokenFor(gate, { sub: `user_${role}`, practice_id: ours.id, role, usage_plan: 'internal' });
      for (const [action, attempt] of attempts) {
        const { status } = await attempt(as);
        expect([action, status >= 200 && status < 300]).toEqual([
          action,
          (patientPermissions[action] as readonly string[]).includes(role),
        ]);
        if (status >= 300) expect(status).toBe(403);
      }
    });

    it('which says what the code does', () => {
      expect(readFileSync(join(root, 'docs/permissions.md'), 'utf8')).toBe(permissionsDocument());
    });
  });
});
