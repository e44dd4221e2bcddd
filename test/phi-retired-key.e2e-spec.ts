import { createSecretKey } from 'node:crypto';
import { FieldCipher } from '../src/platform/secrets/field-cipher';
import { tokenFor } from './support/api';
import { ada, type PatientsClient, patientsAs, type Refused } from './support/patients';
import { type Practice, seedPractice } from './support/practice';
import type { GateProcess } from './support/process';
import { runProgram } from './support/program';
import { until } from './support/until';
import { World } from './support/world';

const keyText = (id: string, byte: number) => `${id}:${Buffer.alloc(32, byte).toString('base64')}`;
const cipherOf = (id: string, byte: number) => new FieldCipher([{ id, key: createSecretKey(Buffer.alloc(32, byte)) }]);

/** Each test starts programs, some several. */
jest.setTimeout(120_000);

describe('a key that is retired while somebody writes under it', () => {
  let world: World;
  let practice: Practice;
  /** Started before the rotation, and never again. */
  let old: GateProcess;
  let patients: PatientsClient;
  const oldKey = { PHI_KEYS: keyText('k1', 1) };
  const bothKeys = { PHI_KEYS: `${keyText('k2', 2)},${keyText('k1', 1)}` };
  const newKey = { PHI_KEYS: keyText('k2', 2) };

  const clientOf = async (gate: GateProcess): Promise<PatientsClient> => {
    const claims = { sub: 'user_admin', practice_id: practice.id, role: 'practice_admin', usage_plan: 'internal' };
    return patientsAs(gate, await tokenFor(gate, claims));
  };
  const rotate = () => runProgram(world, 'phi-rotate', [], bothKeys);
  const retired = async (id: string) =>
    (await world.sql<{ is: boolean }>('SELECT retired_at IS NOT NULL AS is FROM field_keys WHERE id = $1', [id]))[0]
      ?.is;
  const ssnUnder = (id: string, key: readonly [string, number]) =>
    cipherOf(...key).encrypt({ table: 'patients', column: 'ssn', tenant: practice.id, row: id }, '000123456');
  const insert = `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, ssn_encrypted)
    VALUES ($1, $2, 'F', 'L', '1990-01-01', $3)`;

  beforeAll(async () => {
    world = await World.create();
    practice = await seedPractice(world, 'p', { patients: 2, slots: 0 });
    old = await world.start(oldKey);
    patients = await clientOf(old);
    expect((await patients.create({ ...ada, ssn: '000-12-3456' })).status).toBe(201);
  });
  afterAll(() => world.end());

  it('stays in use where a transaction that wrote under it is still open', async () => {
    const writer = await world.runtimeClient();
    try {
      await writer.query('BEGIN');
      await writer.query(`SELECT set_config('gatehouse.tenant', $1, true)`, [await world.signed(practice.id)]);
      await writer.query(insert, [practice.id, 'pat_late', ssnUnder('pat_late', ['k1', 1])]);
      const rotating = rotate();
      await until(async () => {
        const waiting = await world.sql(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatehouse-phi-rotate' AND wait_event_type = 'Lock'`,
        );
        return waiting.length > 0;
      }, 60_000);
      await writer.query('COMMIT');
      const { code, output } = await rotating;
      expect([code, output]).toEqual([1, expect.stringContaining('1 re-encrypted, 1 left')]);
      expect(output).toContain('restart them with the new one');
      expect(await retired('k1')).toBe(false);
    } finally {
      await writer.end();
    }
  });

  it('is refused to the process that still has it: 503, nothing lost, and its log says what to do', async () => {
    const { code, output } = await rotate();
    expect([code, output]).toEqual([0, expect.stringContaining('0 left')]);
    expect(await retired('k1')).toBe(true);
    const before = await world.sql('SELECT id, ssn_encrypted FROM patients ORDER BY id');
    const created = await patients.create<Refused>({ ...ada, ssn: '000-99-9999' });
    expect([created.status, created.body.code]).toEqual([503, 'field_key_retired']);
    const changed = await patients.update<Refused>('pat_late', { notes: 'Ivory-Marzipan' });
    expect([changed.status, changed.body.code]).toEqual([503, 'field_key_retired']);
    expect(await world.sql('SELECT id, ssn_encrypted FROM patients ORDER BY id')).toEqual(before);
    await until(() => old.log.includes('restart it with the new key first'));
    expect(old.log).not.toMatch(/000999999|000-99-9999|Ivory-Marzipan/);
  });

  it('is not in the way of what it has nothing to do with', async () => {
    expect((await patients.create(ada)).status).toBe(201);
    expect((await patients.update('pat_late', { phone: '+1 555 010 0000' })).status).toBe(200);
    expect((await patients.update('pat_late', { notes: null })).status).toBe(200);
  });

  it('may leave: a process without it starts, writes, and every value is under the new one', async () => {
    const gate = await world.start(newKey);
    const { status } = await (await clientOf(gate)).create({ ...ada, ssn: '000-11-1111', notes: 'new' });
    expect(status).toBe(201);
    const others = await world.sql(
      `SELECT id FROM patients WHERE NOT starts_with(ssn_encrypted, 'v1:k2:') OR NOT starts_with(notes_encrypted, 'v1:k2:')`,
    );
    expect(others).toEqual([]);
  });

  it.each([
    ['a retired key', (id: string) => ssnUnder(id, ['k1', 1])],
    ['a key that nobody introduced', (id: string) => ssnUnder(id, ['k9', 9])],
    ['no key', () => '000123456'],
  ])('refuses a value under %s to whoever writes it, and does not repeat it', async (_, valueOf) => {
    for (const who of ['runtime', 'owner', 'superuser'] as const) {
      const client = await world.clientOf(who);
      try {
        await client.query('BEGIN');
        await client.query(`SELECT set_config('gatehouse.tenant', $1, true)`, [await world.signed(practice.id)]);
        const value = valueOf('pat_new');
        const refusal = await client.query(insert, [practice.id, 'pat_new', value]).catch((error: unknown) => error);
        expect(refusal).toMatchObject({ code: 'KR001' });
        expect((refusal as Error).message).not.toContain(value.slice(-9));
      } finally {
        await client.end();
      }
    }
  });

  it('is looked for wherever a column is encrypted', async () => {
    const columns = await world.sql<{ name: string; on: string }>(
      `SELECT format('%s.%s', c.relname, a.attname) AS name, e.name AS on
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname LIKE '%\\_encrypted' AND NOT a.attisdropped,
         (VALUES ('insert', 4), ('update', 16)) AS e (name, bit)
       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT EXISTS (
         SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgfoid = 'refuse_unusable_key'::regproc AND t.tgenabled = 'O'
           AND t.tgtype & e.bit <> 0 AND (e.name = 'insert' OR a.attnum = ANY (t.tgattr))
           AND a.attname = ANY (string_to_array(encode(t.tgargs, 'escape'), '\\000')))`,
    );
    expect(columns).toEqual([]);
  });
});

describe('the demo data of a first start', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.create();
  });
  afterAll(() => world.end());

  it('come under a key that the database is told of before', async () => {
    await world.start({ NODE_ENV: 'development', DATABASE_ADMIN_URL: world.ownerUrl });
    const [found] = await world.sql(
      `SELECT count(*)::int AS patients, count(*) FILTER (WHERE ssn_encrypted ~ '^v1:dev:')::int AS encrypted FROM patients`,
    );
    expect(found).toEqual({ patients: 5, encrypted: 5 });
  });
});
