import type { Client } from 'pg';
import { type Practice, seedPractice } from './support/practice';
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
