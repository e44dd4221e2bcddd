import type { Client } from 'pg';
import { noPrivilege } from './support/attack';
import { World } from './support/world';

/** Where an entry is to stand; what is NULL is not left out. */
interface Places {
  readonly chain?: string;
  readonly id?: string;
  readonly at?: string | null;
}

/** The one for work across tenants, which every process has beside the runtime role: it must not be a way to what they keep. */
describe('an attacker with the system role’s connection', () => {
  let world: World;
  let attacker: Client;

  beforeAll(async () => {
    world = await World.create();
    await world.sql(
      `INSERT INTO idempotency_records (tenant_id, key_hash, request_hash, status, body, expires_at)
       VALUES ('practice_theirs', 'k', 'r', 201, '{"firstName":"Ada"}', now() + interval '1 hour')`,
    );
    attacker = await world.clientOf('system');
  });
  afterAll(async () => {
    await attacker.end();
    await world.end();
  });

  it.each([
    'SELECT body FROM idempotency_records',
    'SELECT request_hash FROM idempotency_records',
    'SELECT * FROM idempotency_records',
    `DELETE FROM idempotency_records RETURNING body`,
    'SELECT FROM patients',
    'SELECT FROM patient_search_terms',
    'SELECT FROM appointments',
    'SELECT FROM messages',
    `UPDATE outbox_events SET relayed_at = now(), payload = '{}'`,
  ])('is refused: %s', async (attack) => {
    await expect(attacker.query(attack)).rejects.toMatchObject({ code: noPrivilege });
  });

  const appendText = 'SELECT append_audit_entries($1, $2, $3, $4, $5)';
  const append = (
    said: string,
    { chain = 'practice_ours', id = 'aud_1', at = '2026-01-01T00:00:00.000Z' }: Places = {},
  ) => attacker.query(appendText, [[chain], [1], [id], [at], `[${said}]`]);

  const said = '{"actor":"a","subjects":[]}';
  it.each<[string, string, Places]>([
    ['another chain', '{"practice":"practice_theirs","actor":"a","subjects":[]}', {}],
    [
      'the end of another chain',
      '{"practice":"practice_theirs","seq":9223372036854775807,"actor":"a","subjects":[]}',
      {},
    ],
    ['another number', '{"seq":7,"actor":"a","subjects":[]}', {}],
    ['another time', '{"at":"9999-01-01T00:00:00.000Z","actor":"a","subjects":[]}', {}],
    ['another chain, by its id', said, { id: 'aud_1","practice":"practice_theirs' }],
    ['another chain, by its time', said, { at: '2026-01-01T00:00:00.000Z","practice":"practice_theirs' }],
    ['no time at all', said, { at: 'zzz' }],
    ['a time that only sorts as one', said, { at: '2026-11-27~~~~~~~~~~~~~~' }],
    ['no day of the calendar', said, { at: '2026-02-30T00:00:00.000Z' }],
    ['a year that sorts before others', said, { at: '10000-01-01T00:00:00.000Z' }],
    ['no time, where that is NULL', said, { at: null }],
    ['another form of time', said, { at: '2026-01-01 00:00:00.00+00' }],
    ['a chain of another form', said, { chain: 'practice_ours ' }],
    ['a chain that no verifier could name', said, { chain: 'x'.repeat(300) }],
    ['where its subjects cannot be read', '{"actor":"a","subjects":"pat_1"}', {}],
    [
      'where its subjects cannot be read, though others before them can',
      '{"actor":"a","subjects":[],"subjects":"pat_1"}',
      {},
    ],
    ['where it has no subjects', '{"actor":"a"}', {}],
    ['where its subjects are null', '{"actor":"a","subjects":null}', {}],
    [
      'where its subjects cannot be read, by a key with an escape',
      '{"actor":"a","subjects":[],"\\u0073ubjects":"pat_1"}',
      {},
    ],
    ['where a subject is a number that no column takes', '{"actor":"a","subjects":[1e400000]}', {}],
    ['where a subject is a list', '{"actor":"a","subjects":["pat_1",["pat_2"]]}', {}],
    [
      'where its subjects are too many to index',
      JSON.stringify({ actor: 'a', subjects: Array(251).fill('pat_1') }),
      {},
    ],
    ['where its actor is too long for an index', JSON.stringify({ actor: 'a'.repeat(1_025), subjects: [] }), {}],
    ['where others say more than was counted', `${said},${said}`, {}],
    ['where it is a list', '["actor"]', {}],
    ['where there is none', '', {}],
    ['where its id says more', said, { id: 'aud_1","x":"' }],
    ['where its id is too long', said, { id: 'a'.repeat(65) }],
    ['where its id says what its subjects are', said, { id: 'aud_1","subjects":"pat_1","x":"' }],
    ['where its number cannot be read', '{"actor":"a","subjects":[],"detail":{"count":"many"}}', {}],
    ['where its number is too high', '{"actor":"a","subjects":[],"detail":{"count":2147483647}}', {}],
    ['where its number takes others away', '{"actor":"a","subjects":[],"detail":{"count":-5}}', {}],
    ['where it is longer than any', `{"actor":"${'a'.repeat(300_000)}","subjects":[]}`, {}],
  ])('puts no entry at %s', async (_, entry, places) => {
    await expect(append(entry, places)).rejects.toMatchObject({
      code: expect.stringMatching(/^22(023|007|008)$/) as string,
    });
    expect(await world.sql('SELECT 1 FROM audit_entries')).toEqual([]);
  });

  it('stops the time of no chain for good', async () => {
    await append(said, { at: '9999-01-01T00:00:00.000Z' });
    const found = await world.sql(
      `SELECT 1 FROM audit_entries WHERE (body ->> 'at')::timestamptz < now() + interval '25 hours'`,
    );
    expect(found).toHaveLength(1);
  });

  it('finds what has expired by its time alone', async () => {
    const { rows } = await attacker.query('SELECT tenant_id FROM idempotency_records WHERE expires_at > now()');
    expect(rows).toEqual([{ tenant_id: 'practice_theirs' }]);
  });
});
