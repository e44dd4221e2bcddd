import type { Client } from 'pg';
import { lockWhole } from '../migrations/support/lock-whole';
import { type Practice, seedPractice } from './support/practice';
import { until } from './support/until';
import { World } from './support/world';

/** What a process of the release before writes, which knows nothing of `appointments.starts_at`, under the rules of the runtime role. */
describe('when an appointment is', () => {
  let world: World;
  let practice: Practice;
  let release: Client;

  beforeAll(async () => {
    world = await World.create();
    practice = await seedPractice(world, 'ours', { patients: 1, slots: 3 });
    await seedPractice(world, 'theirs', { patients: 1, slots: 1 });
    release = await world.runtimeClient();
    await release.query(`SELECT set_config('gatehouse.tenant', $1, false)`, [await world.signed(practice.id)]);
  });
  afterAll(async () => {
    await release.end();
    await world.end();
  });

  const insert = (id: string, slotId: string | undefined) =>
    release.query(
      `INSERT INTO appointments (practice_id, id, patient_id, slot_id, type, booked_by) VALUES ($1, $2, $3, $4, 'follow_up', 'user_before')`,
      [practice.id, id, practice.patients[0], slotId],
    );
  const startOf = async (id: string) => {
    const [row] = await world.sql<{ slot: string; asItsSlot: boolean }>(
      `SELECT a.slot_id AS slot, a.starts_at = s.starts_at AS "asItsSlot" FROM appointments a JOIN slots s ON s.id = a.slot_id WHERE a.id = $1`,
      [id],
    );
    return row;
  };

  it('is its slot’s, though nobody says so, and stays so where it or its slot moves', async () => {
    const [from, to] = practice.slots;
    await insert('appt_before', from);
    expect(await startOf('appt_before')).toEqual({ slot: from, asItsSlot: true });
    await release.query(`UPDATE appointments SET slot_id = $1 WHERE id = 'appt_before'`, [to]);
    expect(await startOf('appt_before')).toEqual({ slot: to, asItsSlot: true });
    await world.sql(`UPDATE slots SET starts_at = starts_at + interval '1 hour' WHERE id = $1`, [to]);
    expect(await startOf('appt_before')).toEqual({ slot: to, asItsSlot: true });
  });

  it('cannot be another than its slot’s, nor that of another practice’s slot', async () => {
    const [row] = await world.sql<{ id: string }>(`SELECT id FROM slots WHERE practice_id <> $1`, [practice.id]);
    await expect(insert('appt_theirs', row?.id)).rejects.toMatchObject({ code: '23502', column: 'starts_at' });
    await insert('appt_other', practice.slots[2]);
    const moved = release.query(
      `UPDATE appointments SET starts_at = starts_at + interval '1 hour' WHERE id = 'appt_other'`,
    );
    await expect(moved).rejects.toMatchObject({ code: '23503' });
  });
});

describe('a migration that needs several tables', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.create();
    await seedPractice(world, 'ours', { patients: 1, slots: 1 });
  });
  afterAll(() => world.end());

  it('ends nobody who has one of them and wants another, and has all of them then', async () => {
    const [booking, migration] = [await world.clientOf('superuser'), await world.clientOf('owner')];
    const waiting = async () => {
      const rows = await world.sql(
        `SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
         WHERE NOT granted AND mode = 'AccessExclusiveLock'`,
      );
      return rows.length > 0;
    };
    try {
      await booking.query('BEGIN; UPDATE slots SET status = status');
      await migration.query(`BEGIN; SET LOCAL lock_timeout = '60s'`);
      const locked = migration.query(lockWhole(`SELECT 'public.appointments, public.slots'`));
      await until(waiting);
      // It has the appointments, and waits for the slots.
      await booking.query('UPDATE appointments SET status = status');
      await booking.query('COMMIT');
      await locked;
      const { rows } = await migration.query(
        `SELECT relation::regclass::text AS table, current_setting('lock_timeout') AS patience
         FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock' ORDER BY 1`,
      );
      expect(rows).toEqual(['appointments', 'slots'].map((table) => ({ table, patience: '1min' })));
    } finally {
      await booking.end();
      await migration.end();
    }
  });
});

describe('an event that was there before events were bounded', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.create();
  });
  afterAll(() => world.end());

  it('is marked as relayed all the same, and no other of its length is taken', async () => {
    const insert = (id: string) =>
      world.sql(
        `INSERT INTO outbox_events (id, tenant_id, type, payload, correlation_id, traceparent)
         VALUES ($1, 'practice_ours', 't', jsonb_build_object('x', repeat('x', 100000)), 'c', '')`,
        [id],
      );
    const [bounds] = await world.sql<{ text: string }>(
      `SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conname = 'outbox_events_bounds'`,
    );
    await world.sql('ALTER TABLE outbox_events DROP CONSTRAINT outbox_events_bounds');
    await insert('evt_before');
    await world.sql(`ALTER TABLE outbox_events ADD CONSTRAINT outbox_events_bounds ${bounds?.text ?? ''}`);
    await world.sql(`UPDATE outbox_events SET relayed_at = now() WHERE id = 'evt_before'`);
    await expect(insert('evt_after')).rejects.toMatchObject({ code: '23514' });
  });
});
