import type { Client } from 'pg';
import { type Practice, seedPractice } from './support/practice';
import { World } from './support/world';

describe('the kinds of things that a practice owns', () => {
  let world: World;
  let ours: Practice;
  let owner: Client;
  let system: Client;

  beforeAll(async () => {
    world = await World.create();
    ours = await seedPractice(world, 'ours', { patients: 1, slots: 1 });
    [owner, system] = [await world.clientOf('owner'), await world.clientOf('system')];
  });
  afterAll(async () => {
    await Promise.all([owner.end(), system.end()]);
    await world.end();
  });

  const ownersOf = async (...ids: string[]) => {
    const { rows } = await system.query<{ id: string; subject_type: string; practice_id: string }>(
      'SELECT * FROM owners_of($1)',
      [ids],
    );
    return rows.map(({ id, subject_type, practice_id }) => [id, subject_type, practice_id]);
  };

  it('are found by the prefix that a migration registers, under forced row-level security', async () => {
    await owner.query(`
      CREATE TABLE notes (practice_id text NOT NULL, id text NOT NULL UNIQUE);
      INSERT INTO notes VALUES ('${ours.id}', 'note_1'), ('${ours.id}', 'memo_1');
      ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
      ALTER TABLE notes FORCE ROW LEVEL SECURITY;
    `);
    expect(await ownersOf('note_1')).toEqual([]);
    await owner.query(`SELECT register_owned_kind('note_', 'note', 'notes')`);
    const [patient = ''] = ours.patients;
    expect(await ownersOf('note_1', 'note_2', 'memo_1', patient, '%')).toEqual(
      expect.arrayContaining([
        ['note_1', 'note', ours.id],
        [patient, 'patient', ours.id],
      ]),
    );
    expect(await ownersOf('note_1', 'note_2', 'memo_1', patient, '%')).toHaveLength(2);
  });

  it('are found without one whose table was dropped', async () => {
    await owner.query('DROP TABLE notes');
    const [slot = ''] = ours.slots;
    expect(await ownersOf('note_1', slot)).toEqual([[slot, 'slot', ours.id]]);
  });

  it.each([
    ['a table whose ids no index begins with', 'PRIMARY KEY (practice_id, id)', 'memo_', /needs an index/],
    ['a table whose ids are no text', 'UNIQUE (id), CHECK (true)', 'memo_', /are to be text/, 'uuid'],
    ['a table whose index has not all ids', 'CHECK (true)', 'memo_', /needs an index/],
    ['a prefix that no id has', 'UNIQUE (id)', 'Memo', /check constraint/],
    ['a prefix that another kind has', 'UNIQUE (id)', 'pat_', /duplicate key/],
  ])('refuse %s', async (_, key, prefix, why, type = 'text') => {
    await owner.query(`BEGIN; CREATE TABLE memos (practice_id text NOT NULL, id ${type} NOT NULL, ${key})`);
    await owner.query(`CREATE INDEX ON memos (id) WHERE id IS NULL`);
    await expect(owner.query(`SELECT register_owned_kind($1, 'memo', 'memos')`, [prefix])).rejects.toThrow(why);
    await owner.query('ROLLBACK');
  });
});
