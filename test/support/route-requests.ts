import { randomUUID } from 'node:crypto';
import type { Call } from './api';
import { seedPractice } from './practice';
import type { World } from './world';

/** A request of the matrix. */
export interface RouteRequest extends Call {
  readonly path: string;
}

/** How to call one route about something of a practice. `n` is fresh at each call, so that each has a subject of its own. */
export interface RouteCase {
  readonly request: (practice: string, n: number) => RouteRequest;
  /**
   * What the other practice's subject comes to: refused by its id; invisible, since the route finds by what it is asked for;
   * or none, since the route is of no tenant.
   */
  readonly foreign: 'refused' | 'invisible' | 'none';
}

/** Subjects of each practice; a test takes them in turn. */
export const subjectCount = 60;

const get = (path: (practice: string, n: number) => string, foreign: RouteCase['foreign']): RouteCase => ({
  request: (practice, n) => ({ path: path(practice, n) }),
  foreign,
});
const write = (
  path: (practice: string, n: number) => string,
  body: ((practice: string, n: number) => unknown) | undefined,
  foreign: RouteCase['foreign'],
  method = 'POST',
): RouteCase => ({
  request: (practice, n) => ({
    path: path(practice, n),
    method,
    headers: { 'idempotency-key': randomUUID() },
    ...(body && { body: body(practice, n) }),
  }),
  foreign,
});
const at = (path: string) => () => path;

/** Every route of the application. A new one fails the matrix until it stands here. */
export const routeCases: Readonly<Record<string, RouteCase>> = {
  'GET /.well-known/jwks.json': get(at('/.well-known/jwks.json'), 'none'),
  'GET /.well-known/openid-configuration': get(at('/.well-known/openid-configuration'), 'none'),
  'GET /appointments': get((practice, n) => `/appointments?patientId=pat_${practice}${n}`, 'refused'),
  'POST /appointments': write(
    at('/appointments'),
    (practice, n) => ({
      patientId: `pat_${practice}${n}`,
      slotId: `slot_${practice}${subjectCount + n}`,
      type: 'follow_up',
    }),
    'refused',
  ),
  'GET /appointments/:id': get((practice, n) => `/appointments/appt_${practice}${n}`, 'refused'),
  'POST /appointments/:id/cancel': write(
    (practice, n) => `/appointments/appt_${practice}${n}/cancel`,
    undefined,
    'refused',
  ),
  'POST /appointments/:id/reschedule': write(
    (practice, n) => `/appointments/appt_${practice}${n}/reschedule`,
    (practice, n) => ({ slotId: `slot_${practice}${2 * subjectCount + n}` }),
    'refused',
  ),
  'GET /audit': get((practice) => `/audit?actor=user_of_${practice}`, 'invisible'),
  'GET /audit/export': get(at('/audit/export'), 'invisible'),
  'GET /auth/revocations': get(at('/auth/revocations'), 'none'),
  'POST /auth/revocations': write(at('/auth/revocations'), () => ({ jti: `tok_${randomUUID()}` }), 'none'),
  'GET /dead-letters': get(at('/dead-letters'), 'none'),
  'POST /dead-letters/:id/retry': write(
    (practice, n) => `/dead-letters/evt_${practice}${n}.crm/retry`,
    undefined,
    'none',
  ),
  'POST /dev/oauth/token': {
    request: () => ({
      path: '/dev/oauth/token',
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'grant_type=client_credentials&client_id=provider',
    }),
    foreign: 'none',
  },
  'POST /dev/tokens': write(at('/dev/tokens'), () => ({ sub: 'user_any' }), 'none'),
  'GET /health/live': get(at('/health/live'), 'none'),
  'GET /health/ready': get(at('/health/ready'), 'none'),
  'GET /me': get(at('/me'), 'none'),
  'GET /metrics': get(at('/metrics'), 'none'),
  'GET /patients': get((practice, n) => `/patients?search=${practice}last${n}`, 'invisible'),
  'POST /patients': write(
    at('/patients'),
    () => ({ firstName: 'New', lastName: 'Patient', dateOfBirth: '1990-01-01' }),
    'none',
  ),
  'GET /patients/:id': get((practice, n) => `/patients/pat_${practice}${n}`, 'refused'),
  'PATCH /patients/:id': write(
    (practice, n) => `/patients/pat_${practice}${n}`,
    () => ({ insuranceProvider: 'Changed' }),
    'refused',
    'PATCH',
  ),
  'GET /patients/:id/appointments': get((practice, n) => `/patients/pat_${practice}${n}/appointments`, 'refused'),
  'GET /slots': get(at('/slots?date=2030-01-02'), 'invisible'),
  'GET /app-usage': get(at('/app-usage'), 'none'),
  'GET /usage': get(at('/usage'), 'none'),
  'GET /usage-plans': get(at('/usage-plans'), 'none'),
  'PUT /usage-plans/:clientId': write(
    (practice, n) => `/usage-plans/app_${practice}${n}`,
    () => ({ plan: 'enterprise' }),
    'none',
    'PUT',
  ),
};

/** A practice whose every row says in its text whose it is, and that has a subject of each kind for each number. */
export async function seedSubjects(world: World, name: string): Promise<string> {
  const { id } = await seedPractice(world, name, { patients: subjectCount, slots: 3 * subjectCount });
  await world.sql(
    `UPDATE patients SET first_name = $2 || 'first', last_name = $2 || 'last' || substr(id, length('pat_' || $2) + 1),
       email = $2 || '@example.com', insurance_provider = $2 || ' insurance' WHERE practice_id = $1`,
    [id, name],
  );
  await world.sql(
    `INSERT INTO appointments (practice_id, id, patient_id, slot_id, starts_at, type, booked_by)
     SELECT $1, format('appt_%s%s', $2::text, n), format('pat_%s%s', $2::text, n), slots.id, slots.starts_at, 'follow_up', 'user_of_' || $2
     FROM generate_series(1, $3::int) n JOIN slots ON slots.id = format('slot_%s%s', $2::text, n)`,
    [id, name, subjectCount],
  );
  await world.sql(`UPDATE slots SET date = '2030-01-02' WHERE practice_id = $1`, [id]);
  await world.sql(`UPDATE slots SET status = 'booked' WHERE id IN (SELECT slot_id FROM appointments)`);
  await world.sql(
    `WITH event AS (
       INSERT INTO outbox_events (id, tenant_id, type, payload, correlation_id, relayed_at)
       SELECT format('evt_%s%s', $2::text, n), $1, 'appointment.booked', '{}', 'c', now() FROM generate_series(1, $3::int) n
       RETURNING id, tenant_id
     )
     INSERT INTO event_deliveries (event_id, consumer, tenant_id, state, attempts, draw_at, last_error_class, finished_at)
     SELECT id, 'crm', tenant_id, 'dead', 12, NULL, 'status_500', now() FROM event`,
    [id, name, subjectCount],
  );
  return id;
}
