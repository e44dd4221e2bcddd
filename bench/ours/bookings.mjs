// @ts-check
/** What the bookings' benches know of the tables (migrations/…-LayTheGround.ts): how to seed them and how to count what was booked. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

export const practiceId = 'practice_bench';
const PATIENTS = 1000;

/** @param {number} n From 0. */
export const slotId = (n) => `slot_bench${String(n).padStart(10, '0')}`;
/** @param {number} n Any. */
export const patientId = (n) => `pat_bench${String(n % PATIENTS).padStart(10, '0')}`;

/**
 * A practice with free slots in the future, and nothing left of the last time.
 * @param {string} superuserUrl @param {number} slots
 */
export async function seedBookings(superuserUrl, slots) {
  const client = await connected(superuserUrl);
  try {
    // Deleting everything that refers to each other, without a look for referring rows for each of a million slots.
    await client.query('SET session_replication_role = replica');
    for (const table of ['outbox_events', 'idempotency_records'])
      await client.query(`DELETE FROM ${table} WHERE tenant_id = $1`, [practiceId]);
    for (const table of ['appointments', 'slots', 'patients', 'staff'])
      await client.query(`DELETE FROM ${table} WHERE practice_id = $1`, [practiceId]);
    await client.query('RESET session_replication_role');
    await client.query(
      `INSERT INTO practices (id, name, time_zone) VALUES ($1, 'Bench', 'UTC') ON CONFLICT DO NOTHING`,
      [practiceId],
    );
    await client.query(
      `INSERT INTO staff (practice_id, id, name, role) VALUES ($1, 'staff_bench', 'Dr Bench', 'provider')`,
      [practiceId],
    );
    await client.query(
      `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth)
       SELECT $1, 'pat_bench' || lpad(n::text, 10, '0'), 'Ada', 'Bench ' || n, '1980-01-01' FROM generate_series(0, $2::int - 1) n`,
      [practiceId, PATIENTS],
    );
    await client.query(
      `INSERT INTO slots (practice_id, id, provider_id, date, time, starts_at)
       SELECT $1, 'slot_bench' || lpad(n::text, 10, '0'), 'staff_bench', at::date, at::time, at AT TIME ZONE 'UTC'
       FROM generate_series(0, $2::int - 1) n, LATERAL (SELECT current_date + interval '2 days' + n * interval '1 minute' AS at) due`,
      [practiceId, slots],
    );
    for (const table of [
      'practices',
      'staff',
      'patients',
      'slots',
      'appointments',
      'outbox_events',
      'idempotency_records',
    ])
      await client.query(`VACUUM ANALYZE ${table}`);
    await client.query('CHECKPOINT'); // the seed's own writing is not to be paid for by whoever is measured first
  } finally {
    await client.end();
  }
}

/**
 * How often tables that hold bookings were read since the server's first start, by an index or whole, once all who read have told.
 * The audit log is not among them: it is written, in a batch with others.
 * @param {string} superuserUrl @returns {Promise<number>}
 */
export async function countReads(superuserUrl) {
  const client = await connected(superuserUrl);
  try {
    for (let last = NaN, since = Date.now(); ;) {
      const { rows } = await client.query(
        `SELECT sum(coalesce(idx_scan, 0) + seq_scan)::float8 AS reads FROM pg_stat_user_tables
         WHERE schemaname = 'public' AND relname IN ('appointments', 'idempotency_records', 'patients', 'practices', 'slots', 'staff')`,
      );
      const { reads } = rows[0];
      // A connection that has nothing to do tells after 10 s (PGSTAT_IDLE_INTERVAL).
      if (reads === last && Date.now() - since > 11_000) return reads;
      if (reads !== last) since = Date.now();
      last = reads;
      await sleep(100);
    }
  } finally {
    await client.end();
  }
}

/**
 * What is in the tables for slots `from` … `to - 1`.
 * @param {string} superuserUrl @param {number} from @param {number} to
 * @returns {Promise<{ slots: number, appointments: number, events: number, records: number }>} `records`: idempotency records of the whole practice
 */
export async function countBookings(superuserUrl, from, to) {
  const client = await connected(superuserUrl);
  try {
    const { rows } = await client.query(
      `SELECT (SELECT count(*)::int FROM slots WHERE practice_id = $1 AND id >= $2 AND id < $3 AND status = 'booked') AS slots,
              (SELECT count(*)::int FROM appointments WHERE practice_id = $1 AND slot_id >= $2 AND slot_id < $3) AS appointments,
              (SELECT count(*)::int FROM outbox_events WHERE tenant_id = $1 AND type = 'appointment.booked' AND payload->>'slotId' >= $2 AND payload->>'slotId' < $3) AS events,
              (SELECT count(*)::int FROM idempotency_records WHERE tenant_id = $1) AS records`,
      [practiceId, slotId(from), slotId(to)],
    );
    return rows[0];
  } finally {
    await client.end();
  }
}

/**
 * A login with the runtime role's rights, and so under row-level security as ours, for pgbench.
 * @param {string} superuserUrl
 * @returns {Promise<URL>} of the same database
 */
export async function benchLogin(superuserUrl) {
  const password = 'bench'; // of a server on the loopback that holds bench data alone
  const client = await connected(superuserUrl);
  try {
    await client.query(
      `DO $$ BEGIN CREATE ROLE gatehouse_bench LOGIN IN ROLE gatehouse_app; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
    );
    await client.query(`ALTER ROLE gatehouse_bench PASSWORD '${password}'`);
  } finally {
    await client.end();
  }
  const url = new URL(superuserUrl);
  url.username = 'gatehouse_bench';
  url.password = password;
  return url;
}

/** @param {string} url */
async function connected(url) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}
