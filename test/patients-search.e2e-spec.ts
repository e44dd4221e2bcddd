import type { Client } from 'pg';
import { bornOn, list, search, searchBornOn } from '../src/domains/patients/patients.statements';
import type { Statement } from '../src/platform/database';
import { tokenFor } from './support/api';
import { ada, type PatientPage, type PatientsClient, patientsAs, type Refused } from './support/patients';
import { type Practice, seedPractice } from './support/practice';
import { World } from './support/world';

describe('searching patients', () => {
  let world: World;
  let ours: Practice;
  let patients: PatientsClient;
  let foreigners: PatientsClient;
  const idOf = new Map<string, string>();

  const people = {
    brien: { firstName: 'Miles', lastName: 'O’Brien', dateOfBirth: '1978-09-01', phone: '+1 (555) 010-4321' },
    nunez: { firstName: 'Chiara', lastName: 'Núñez', dateOfBirth: '1992-02-29', phone: '5550108765' },
    cruz: {
      firstName: 'María José',
      lastName: 'de la Cruz-Smith',
      dateOfBirth: '1992-02-29',
      phone: '+44 20 7946 0018',
    },
    lodz: { firstName: 'Łukasz', lastName: 'Straße Æther', dateOfBirth: '1960-01-01' },
    li: { firstName: '小龙', lastName: '李', dateOfBirth: '1960-01-01' },
    greek: { firstName: 'ΣΟΦΊΑ', lastName: 'Παπαδόπουλος', dateOfBirth: '1960-01-01' },
    plain: { firstName: 'Ada', lastName: 'Lovelace', dateOfBirth: '1985-12-10', email: 'brien@example.com' },
  };
  const names = (page: PatientPage) => page.data.map(({ id }) => [...idOf].find(([, known]) => known === id)?.[0]);
  const finds = async (query: Record<string, string>) => names((await patients.list(query)).body);

  beforeAll(async () => {
    world = await World.create();
    ours = await seedPractice(world, 'ours', { patients: 0, slots: 0 });
    const theirs = await seedPractice(world, 'theirs', { patients: 0, slots: 0 });
    const gate = await world.start();
    const clientOf = async (practice: Practice) => {
      const claims = { sub: 'user_a', practice_id: practice.id, role: 'scheduling_agent', usage_plan: 'internal' };
      return patientsAs(gate, await tokenFor(gate, claims));
    };
    patients = await clientOf(ours);
    foreigners = await clientOf(theirs);
    for (const [name, person] of Object.entries(people)) idOf.set(name, (await patients.create(person)).body.id);
    await foreigners.create({ ...people.brien, lastName: 'O’Brien' });
  });
  afterAll(() => world.end());

  it.each<[string, string[]]>([
    ['obrien', ['brien']],
    ["o'brien", ['brien']],
    ['O’BRIEN', ['brien']],
    ['brien', ['brien']],
    ['o brien', ['brien']],
    ['miles obr', ['brien']],
    ['brien miles', ['brien']],
    ["O'Brien, Miles", ['brien']],
    ['nunez', ['nunez']],
    ['NÚÑEZ', ['nunez']],
    ['Núñez', ['nunez']],
    ['Nu\u0301n\u0303ez', ['nunez']],
    ['unez', []],
    ['maria', ['cruz']],
    ['mariajose', ['cruz']],
    ['cruz', ['cruz']],
    ['cruz-smith', ['cruz']],
    ['smith cruz la', ['cruz']],
    ['delacruzsmith', ['cruz']],
    ['lukasz', ['lodz']],
    ['strasse', ['lodz']],
    ['aether', ['lodz']],
    ['ＬＵＫＡＳＺ', ['lodz']],
    ['李', ['li']],
    ['σοφια', ['greek']],
    ['παπαδοπουλοσ', ['greek']],
    ['ada', ['plain']],
    ['ada smith', []],
    ['brien@example.com', []],
    ['%', []],
    ['_da', []],
    ['---', []],
    ['a%', ['lodz']],
    ["' or 1=1 --", []],
    ['*', []],
  ])('“%s” finds %j', async (text, expected) => {
    const { status, body } = await patients.list({ search: text });
    expect(status).toBe(200);
    if (text === 'a%') expect(names(body)).toEqual(['plain', 'lodz']);
    else expect(names(body)).toEqual(expected);
  });

  it.each([
    '+15550104321',
    '15550104321',
    '(555) 010-4321',
    '555.010.4321',
    '0104321',
    '4321',
    '55501043',
    '1 555 010',
  ])('the phone number %s finds its patient, as a search and as a phone', async (number) => {
    expect(await finds({ search: number })).toEqual(['brien']);
    expect(await finds({ phone: number })).toEqual(['brien']);
  });

  it('finds a phone by its national form', async () => {
    expect(await finds({ phone: '020 7946 0018' })).toEqual(['cruz']);
  });

  it('wants all that is asked for', async () => {
    expect(await finds({ dateOfBirth: '1992-02-29' })).toEqual(['nunez', 'cruz']);
    expect(await finds({ dateOfBirth: '1992-02-29', search: 'chi' })).toEqual(['nunez']);
    expect(await finds({ dateOfBirth: '1992-02-29', search: 'obrien' })).toEqual([]);
    expect(await finds({ search: 'miles', phone: '4321' })).toEqual(['brien']);
    expect(await finds({ search: 'miles', phone: '8765' })).toEqual([]);
  });

  it.each<[string, Record<string, string>]>([
    ['/dateOfBirth', { dateOfBirth: '1992-02-30' }],
    ['/phone', { phone: '12' }],
    ['/phone', { phone: 'five' }],
    ['/search', { search: '' }],
    ['/search', { search: ' ' }],
    ['/search', { search: 'x'.repeat(101) }],
    ['/search', { search: 'a\u0007' }],
    ['/name', { name: 'ada' }],
    ['/limit', { limit: '0' }],
  ])('refuses a wrong %s', async (path, query) => {
    const { status, body } = await patients.list(query);
    expect(status).toBe(400);
    expect((body as unknown as Refused).errors?.map((error) => error.path)).toContain(path);
  });

  it('follows a change of name and phone at once', async () => {
    const { id } = (await patients.create({ ...ada, lastName: 'Beforehand', phone: '5559990001' })).body;
    idOf.set('changed', id);
    await patients.update(id, { lastName: 'Afterwards', phone: null });
    expect(await finds({ search: 'beforehand' })).toEqual([]);
    expect(await finds({ search: '5559990001' })).toEqual([]);
    expect(await finds({ search: 'afterwards ada' })).toEqual(['changed']);
  });

  it('is sorted by name and paged without a gap, and no cursor has a name in it', async () => {
    for (const [n, lastName] of ['Pagé', 'page', 'PAGE', 'Page', 'pages', 'Page-Turner'].entries()) {
      await patients.create({ ...ada, firstName: `Turner${n % 3}`, lastName });
    }
    const seen: { lastName: string; firstName: string }[] = [];
    let cursor: string | null = null;
    do {
      const query: Record<string, string> = { search: 'page turner', limit: '2', ...(cursor !== null && { cursor }) };
      const page: PatientPage = (await patients.list(query)).body;
      seen.push(...page.data);
      cursor = page.nextCursor;
      expect(Buffer.from(cursor ?? '', 'base64url').toString()).toMatch(/^(?:\["pat_[0-9a-z]{26}"\])?$/);
    } while (cursor !== null);
    expect(seen.map(({ lastName }) => lastName)).toEqual(['PAGE', 'Page', 'Page-Turner', 'Pagé', 'page', 'pages']);
  });

  it('shows no other practice’s patient, by whatever it asks', async () => {
    const { body } = await foreigners.list({ search: 'brien' });
    expect(body.data).toHaveLength(1);
    expect([...idOf.values()]).not.toContain(body.data[0]?.id);
    expect((await foreigners.list({ search: 'nunez' })).body.data).toEqual([]);
    const stolen = Buffer.from(JSON.stringify([idOf.get('plain')])).toString('base64url');
    expect((await foreigners.list({ cursor: stolen })).body.data).toEqual([]);
  });

  describe('in a large table', () => {
    let client: Client;
    const practices = 20;

    beforeAll(async () => {
      await world.sql(
        `INSERT INTO practices (id, name, time_zone) SELECT 'practice_l' || n, 'L', 'UTC' FROM generate_series(1, $1) n`,
        [practices],
      );
      await world.sql(
        `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, phone)
         SELECT 'practice_l' || (1 + n % $1), 'pat_l' || n, 'First' || n, 'Last' || n, date '1950-01-01' + n, '+1555' || to_char(n, 'FM0000000')
         FROM generate_series(1, 20000) n`,
        [practices],
      );
      await world.sql('ANALYZE patients, patient_search_terms');
      client = await world.runtimeClient();
    });
    afterAll(() => client.end());

    it.each<[string, Statement<unknown>, (string | null)[]]>([
      ['a list', list.first, []],
      ['its next page', list.after, ['pat_l20']],
      ['a date of birth', bornOn.first, ['1960-01-01']],
      ['a name', search.first, ['first10 last10', null]],
      ['a phone', search.first, [null, '5550000100']],
      ['a name, next page', search.after, ['first1', null, 'pat_l20']],
      ['a name and a date, next page', searchBornOn.after, ['first1', null, '1960-01-01', 'pat_l20']],
    ])('%s reads by index as the runtime role, whatever the plan', async (name, { text }, asked) => {
      for (const mode of ['force_custom_plan', 'force_generic_plan']) {
        const values = ["'practice_l1'", '21', ...asked.map((value) => (value === null ? 'NULL' : `'${value}'`))];
        await client.query(
          `BEGIN; SET LOCAL gatehouse.tenant = '${await world.signed('practice_l1')}'; SET LOCAL plan_cache_mode = ${mode}`,
        );
        await client.query(`PREPARE searched AS ${text}`);
        const { rows } = await client.query<{ 'QUERY PLAN': string }>(
          `EXPLAIN EXECUTE searched (${values.join(', ')})`,
        );
        const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
        await client.query('ROLLBACK; DEALLOCATE searched');
        expect(plan).not.toMatch(/Seq Scan on (?:patients|patient_search_terms|appointments|slots)/);
        expect(plan).not.toMatch(/JIT:/);
        if (name.includes('name') || name.includes('phone')) {
          expect(plan).toMatch(/Index Cond: \(\(practice_id = .*\) AND \(term >= words.*\) AND \(term < words/);
        }
      }
    });
  });
});
