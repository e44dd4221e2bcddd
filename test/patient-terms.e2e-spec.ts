import fc from 'fast-check';
import type { Client } from 'pg';
import { type Practice, seedPractice } from './support/practice';
import { World } from './support/world';

describe('the terms of a patient', () => {
  let world: World;
  let ours: Practice;
  let client: Client;

  beforeAll(async () => {
    world = await World.create();
    ours = await seedPractice(world, 'ours', { patients: 1, slots: 0 });
    await seedPractice(world, 'theirs', { patients: 2, slots: 0 });
  });
  afterAll(() => world.end());
  beforeEach(async () => {
    client = await world.runtimeClient();
    await client.query(`BEGIN; SET LOCAL gatehouse.tenant = '${await world.signed(ours.id)}'`);
  });
  afterEach(() => client.end());

  /** What the migration's functions promise, in another language. */
  const folded = (text: string) =>
    Array.from(text.normalize('NFKD'))
      .map((char) => (char === 'ı' ? char : char.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ')))
      .join('')
      .normalize('NFKD')
      .replaceAll(/\p{Mn}/gu, '')
      .replaceAll('æ', 'ae')
      .replaceAll('œ', 'oe')
      .replaceAll('þ', 'th')
      .replaceAll(/[øłđðħŧıə]/g, (char) => 'olddhtie'['øłđðħŧıə'.indexOf(char)] ?? '');
  const joined = (text: string) =>
    Array.from(text.replaceAll(/[^\p{L}\p{N}]/gu, ''))
      .slice(0, 64)
      .join('');
  const termsOf = (first: string, last: string, phone: string) => {
    const terms = new Set<string>();
    for (const name of [folded(first), folded(last)]) {
      terms.add(joined(name));
      for (const token of name.split(/[\s,;/]+/)) terms.add(joined(token));
      for (const part of name.split(/[^\p{L}\p{N}]+/u)) terms.add(joined(part));
    }
    const digits = phone.replaceAll(/[^0-9]/g, '');
    for (const length of digits === '' ? [] : [32, 10, 7, 4]) terms.add(`#${digits.slice(-length)}`);
    terms.delete('');
    // What begins another finds nobody more.
    return [...terms].filter((term) => ![...terms].some((other) => other !== term && other.startsWith(term))).sort();
  };
  const letters = "abzAZ019 '’-.,;/_áÁñÑçßẞøØłŁđĐæÆœŒþÞðÐħĦŧŦıİəƏﬁǅΣσςΆλЙйЁ李가\u0301\u0308\u00A0\u2019";
  const name = fc.string({ unit: fc.constantFrom(...Array.from(letters)), minLength: 0, maxLength: 24 });
  const phone = fc.string({ unit: fc.constantFrom(...Array.from('0123456789+() -.')), maxLength: 16 });

  it('are those of the model, after every change by raw SQL, and go with their patient', async () => {
    const stored = async (id: string) => {
      const { rows } = await client.query<{ term: string }>(
        'SELECT term FROM patient_search_terms WHERE practice_id = $1 AND patient_id = $2',
        [ours.id, id],
      );
      return rows.map(({ term }) => term).sort();
    };
    let n = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, name, phone), { minLength: 1, maxLength: 3 }), async (versions) => {
        n += 1;
        const id = `pat_model${n}`;
        for (const [index, [first, last, number]] of versions.entries()) {
          await client.query(
            index === 0
              ? `INSERT INTO patients (practice_id, id, first_name, last_name, phone, date_of_birth) VALUES ($1, $2, $3, $4, $5, '1990-01-01')`
              : 'UPDATE patients SET first_name = $3, last_name = $4, phone = $5 WHERE practice_id = $1 AND id = $2',
            [ours.id, id, first, last, number],
          );
          expect(await stored(id)).toEqual(termsOf(first, last, number));
        }
      }),
      { numRuns: 300 },
    );
    await client.query('COMMIT');
    const [before] = await world.sql<{ n: number }>(
      `SELECT count(*)::int AS n FROM patient_search_terms WHERE patient_id LIKE 'pat\\_model%'`,
    );
    expect(before?.n).toBeGreaterThan(0);
    await world.sql(`DELETE FROM patients WHERE id LIKE 'pat\\_model%'`);
    const left = await world.sql(`SELECT FROM patient_search_terms WHERE patient_id LIKE 'pat\\_model%'`);
    expect(left).toHaveLength(0);
  });

  it('of another practice are out of reach of the runtime role', async () => {
    const { rows } = await client.query<{ id: string }>('SELECT DISTINCT practice_id AS id FROM patient_search_terms');
    expect(rows).toEqual([{ id: ours.id }]);
    await expect(
      client.query(`INSERT INTO patient_search_terms VALUES ('practice_theirs', 'x', 'pat_x', 'x', 'x')`),
    ).rejects.toThrow(/row-level security/);
  });
});
