import { tokenFor } from './support/api';
import { ada, type PatientsClient, patientsAs, type Refused } from './support/patients';
import { seedPractice } from './support/practice';
import { World } from './support/world';

describe('a patient’s fields', () => {
  let world: World;
  let patients: PatientsClient;

  beforeAll(async () => {
    world = await World.create();
    const practice = await seedPractice(world, 'ours', { patients: 0, slots: 0 });
    const gate = await world.start();
    const claims = { sub: 'user_agent', practice_id: practice.id, role: 'scheduling_agent', usage_plan: 'internal' };
    patients = patientsAs(gate, await tokenFor(gate, claims));
  });
  afterAll(() => world.end());

  describe('are refused where they are wrong, and the answer says which', () => {
    const tomorrowEverywhere = new Date(Date.now() + 48 * 3_600_000).toISOString().slice(0, 10);
    const wrong: [string, Record<string, unknown>][] = [
      ['/firstName', { firstName: '' }],
      ['/firstName', { firstName: '   ' }],
      ['/firstName', { firstName: 'x'.repeat(101) }],
      ['/firstName', { firstName: null }],
      ['/firstName', { firstName: 'A\u0007da' }],
      ['/firstName', { firstName: 'A\nda' }],
      ['/lastName', { lastName: 'Love\ud800lace' }],
      ['/lastName', { lastName: 7 }],
      ['/dateOfBirth', { dateOfBirth: '2023-02-29' }],
      ['/dateOfBirth', { dateOfBirth: '1985-13-01' }],
      ['/dateOfBirth', { dateOfBirth: '0000-01-01' }],
      ['/dateOfBirth', { dateOfBirth: '10.12.1985' }],
      ['/dateOfBirth', { dateOfBirth: tomorrowEverywhere }],
      ['/phone', { phone: '123' }],
      ['/phone', { phone: '+1 555 CALL NOW' }],
      ['/phone', { phone: '5'.repeat(16) }],
      ['/email', { email: 'not an address' }],
      ['/email', { email: `${'x'.repeat(250)}@example.com` }],
      ['/insuranceProvider', { insuranceProvider: 'x'.repeat(201) }],
      ['/ssn', { ssn: '000-1234-56' }],
      ['/ssn', { ssn: '12345678' }],
      ['/ssn', { ssn: '000-12-3456 ' }],
      ['/notes', { notes: 'x'.repeat(10_001) }],
      ['/notes', { notes: 'a\u001bb' }],
      ['/isAdmin', { isAdmin: true }],
      ['/id', { id: 'pat_mine' }],
      ['/practiceId', { practiceId: 'practice_theirs' }],
    ];

    it.each(wrong)('%s %j', async (path, fields) => {
      const { id } = (await patients.create(ada)).body;
      for (const { status, body, text } of [
        await patients.create<Refused>({ ...ada, ...fields }),
        await patients.update<Refused>(id, fields),
      ]) {
        expect([status, body.code]).toEqual([400, 'validation_failed']);
        expect(body.errors?.map((error) => error.path)).toContain(path);
        // Ids are random, and may have any digits.
        expect(text.replaceAll(body.correlationId, '').replaceAll(id, '')).not.toContain('1234');
      }
      expect((await patients.get(id)).body).toMatchObject(ada);
    });

    it.each(['firstName', 'lastName', 'dateOfBirth'])('a new patient without %s', async (field) => {
      const { status, body } = await patients.create<Refused>({ ...ada, [field]: undefined });
      expect([status, body.errors?.[0]?.path]).toEqual([400, `/${field}`]);
    });

    it('NUL, which no text can hold, before anything else', async () => {
      const { status, body } = await patients.create<Refused>({ ...ada, notes: 'a\u0000b' });
      expect([status, body.code]).toEqual([403, 'firewall_rule']);
    });

    it('takes notes of several lines, and today as a date of birth', async () => {
      const today = new Date().toISOString().slice(0, 10);
      expect((await patients.create({ ...ada, dateOfBirth: today, notes: 'one\n\ttwo; drop table\r\n' })).status).toBe(
        201,
      );
    });
  });
});
