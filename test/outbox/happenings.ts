import { Client } from 'pg';
import type { World } from '../support/world';

export const practice = 'practice_t001';
export const otherPractice = 'practice_t002';

/** The patient of a seeded practice. */
export const patientOf = (practiceId: string): string => `pat_${practiceId.slice(-4)}`;
/** The nth slot of a seeded practice. */
export const slotOf = (practiceId: string, n: number): string => `slot_${practiceId.slice(-4)}${n}`;

/** Puts two practices with a patient and many slots into a world. */
export async function seedPractices(world: World): Promise<void> {
  for (const id of [practice, otherPractice]) {
    await world.sql(`INSERT INTO practices (id, name, time_zone) VALUES ($1, $2, 'UTC')`, [id, `Practice ${id}`]);
    await world.sql(`INSERT INTO staff (practice_id, id, name, role) VALUES ($1, $2, 'Dr. T', 'provider')`, [
      id,
      `staff_${id}`,
    ]);
    await world.sql(
      `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, phone)
       VALUES ($1, $2, 'Ada', 'Lovelace', '1985-12-10', '+15550100')`,
      [id, patientOf(id)],
    );
    await world.sql(
      `INSERT INTO slots (practice_id, id, provider_id, date, time, starts_at)
       SELECT $1, format('slot_%s%s', right($1, 4), n), $2, at::date, at::time, at
       FROM generate_series(1, 3000) n,
            LATERAL (SELECT date_trunc('day', now() AT TIME ZONE 'UTC') + n * interval '1 hour' AS at) t`,
      [id, `staff_${id}`],
    );
  }
}

let next = 0;

/** What a booking commits: appointments, slots and events, in one transaction. Tells the events' ids. */
export async function book(world: World, count: number, tenant = practice): Promise<string[]> {
  const first = next + 1;
  next += count;
  const rows = await world.sql<{ id: string }>(
    `WITH booked AS (
       SELECT n, format('appt_%s', n) AS appointment, format('slot_%s%s', right($1, 4), n) AS slot FROM generate_series($2::int, $3::int) n
     ), taken AS (
       UPDATE slots SET status = 'booked' FROM booked WHERE id = slot RETURNING booked.*, starts_at
     ), appointment AS (
       INSERT INTO appointments (practice_id, id, patient_id, slot_id, starts_at, type, booked_by)
       SELECT $1, appointment, 'pat_' || right($1, 4), slot, starts_at, 'comprehensive_exam', 'test' FROM taken
     )
     INSERT INTO outbox_events (id, tenant_id, type, payload, correlation_id)
     SELECT format('evt_%s', lpad(n::text, 8, '0')), $1, 'appointment.booked',
            jsonb_build_object('appointmentId', appointment), format('corr-%s', n) FROM booked
     RETURNING id`,
    [tenant, first, first + count - 1],
  );
  return rows.map(({ id }) => id);
}

/** What the cancellation of a booked appointment commits. Tells the event's id. */
export async function cancel(world: World, bookedEvent: string): Promise<string> {
  const [row] = await world.sql<{ id: string }>(
    `WITH event AS (
       SELECT tenant_id, payload, correlation_id FROM outbox_events WHERE id = $1
     ), appointment AS (
       UPDATE appointments SET status = 'cancelled', updated_at = clock_timestamp() FROM event
       WHERE practice_id = tenant_id AND id = payload->>'appointmentId'
     )
     INSERT INTO outbox_events (id, tenant_id, type, payload, correlation_id)
     SELECT $1 || 'c', tenant_id, 'appointment.cancelled', payload, correlation_id FROM event RETURNING id`,
    [bookedEvent],
  );
  if (!row) throw new Error('Nothing was booked under this event');
  return row.id;
}

/** How many deliveries of these events are in which state, such as `{ 'sms done': 3 }`. */
export async function states(world: World, events: readonly string[]): Promise<Record<string, number>> {
  const rows = await world.sql<{ name: string; count: number }>(
    `SELECT consumer || ' ' || state AS name, count(*)::int FROM event_deliveries WHERE event_id = ANY($1) GROUP BY 1 ORDER BY 1`,
    [events],
  );
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

export function allDone(count: number): Record<string, number> {
  return { 'analytics done': count, 'crm done': count, 'sms done': count };
}

/** What the analytics consumer counted for a practice, over all days. */
export async function counted(world: World, tenant = practice): Promise<number> {
  const [row] = await world.sql<{ sum: number }>(
    'SELECT coalesce(sum(booked), 0)::int AS sum FROM booking_daily_counts WHERE practice_id = $1',
    [tenant],
  );
  return row?.sum ?? 0;
}

/** As if that much time had passed for all leases and waits: they are measured with the database's clock alone. */
export async function letTimePass(world: World, seconds: number): Promise<void> {
  await world.sql(
    `UPDATE event_deliveries SET draw_at = draw_at - make_interval(secs => $1),
       next_attempt_at = next_attempt_at - make_interval(secs => $1) WHERE state = 'pending'`,
    [seconds],
  );
}

/** Holds a lock in an open transaction, as a stuck administrator would, until it is released. */
export async function hold(world: World, lock: string): Promise<{ release(): Promise<void> }> {
  const client = new Client({ connectionString: world.superuserUrl });
  await client.connect();
  await client.query(`BEGIN; ${lock}`);
  return {
    release: async () => {
      await client.query('ROLLBACK');
      await client.end();
    },
  };
}

/** Statements of the application that wait for a lock, by the start of their text. */
export async function waitsForLock(world: World, text: string): Promise<boolean> {
  const rows = await world.sql(
    `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1`,
    [`%${text}%`],
  );
  return rows.length > 0;
}
