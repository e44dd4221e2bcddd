import type { World } from './world';

export interface Practice {
  readonly id: string;
  readonly patients: readonly string[];
  readonly slots: readonly string[];
}

/** A practice with so many patients and free slots, two days ahead at 09:00, 09:01, …; ids are predictable. */
export async function seedPractice(
  world: World,
  name: string,
  counts: { patients: number; slots: number },
): Promise<Practice> {
  const id = `practice_${name}`;
  await world.sql(`INSERT INTO practices (id, name, time_zone) VALUES ($1, $1, 'America/New_York')`, [id]);
  await world.sql(
    `INSERT INTO staff (practice_id, id, name, role) SELECT $1, 'staff_' || $2 || n, 'Dr.', 'provider' FROM generate_series(0, $3 / 600) n`,
    [id, name, counts.slots],
  );
  await world.sql(
    `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, phone, email)
     SELECT $1, format('pat_%s%s', $2::text, n), 'First' || n, 'Last' || to_char(n, 'FM0000'), '1990-01-01', '+1555' || to_char(n, 'FM0000000'), n || '@example.com'
     FROM generate_series(1, $3::int) n`,
    [id, name, counts.patients],
  );
  await world.sql(
    `INSERT INTO slots (practice_id, id, provider_id, date, time, starts_at)
     SELECT $1, format('slot_%s%s', $2::text, n), 'staff_' || $2 || (n / 600), local::date, local::time, local AT TIME ZONE 'America/New_York'
     FROM generate_series(1, $3::int) n,
          LATERAL (SELECT date_trunc('day', now() AT TIME ZONE 'America/New_York') + interval '2 days 9 hours' + (n % 600) * interval '1 minute' AS local) at`,
    [id, name, counts.slots],
  );
  return {
    id,
    patients: Array.from({ length: counts.patients }, (_, n) => `pat_${name}${n + 1}`),
    slots: Array.from({ length: counts.slots }, (_, n) => `slot_${name}${n + 1}`),
  };
}
