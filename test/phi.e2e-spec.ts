import { createSecretKey } from 'node:crypto';
import { FieldCipher } from '../src/platform/secrets/field-cipher';
import { call, tokenFor } from './support/api';
import { ada, type PatientsClient, patientsAs } from './support/patients';
import { type Practice, seedPractice } from './support/practice';
import { GateProcess } from './support/process';
import { runProgram } from './support/program';
import { until } from './support/until';
import { World } from './support/world';

const keyText = (id: string, byte: number) => `${id}:${Buffer.alloc(32, byte).toString('base64')}`;
const cipherOf = (...keys: [id: string, byte: number][]) =>
  new FieldCipher(keys.map(([id, byte]) => ({ id, key: createSecretKey(Buffer.alloc(32, byte)) })));

interface StoredPatient {
  id: string;
  ssn_encrypted: string | null;
  notes_encrypted: string | null;
}

/** Each test starts programs, some several. */
jest.setTimeout(120_000);

describe('ssn and notes', () => {
  let world: World;
  let gate: GateProcess;
  let practice: Practice;
  let patients: PatientsClient;
  const oldKey = { PHI_KEYS: keyText('k1', 1) };
  const bothKeys = { PHI_KEYS: `${keyText('k2', 2)},${keyText('k1', 1)}` };

  const stored = async (id: string): Promise<StoredPatient> => {
    const [row] = await world.sql<StoredPatient>(
      'SELECT id, ssn_encrypted, notes_encrypted FROM patients WHERE id = $1',
      [id],
    );
    if (!row) throw new Error(`There is no patient ${id}`);
    return row;
  };
  const clientOf = async (process: GateProcess): Promise<PatientsClient> => {
    const claims = { sub: 'user_admin', practice_id: practice.id, role: 'practice_admin', usage_plan: 'internal' };
    return patientsAs(process, await tokenFor(process, claims));
  };

  beforeAll(async () => {
    world = await World.create();
    practice = await seedPractice(world, 'p', { patients: 0, slots: 0 });
    gate = await world.start({ ...oldKey, LOG_LEVEL: 'trace' });
    patients = await clientOf(gate);
  });
  afterAll(() => world.end());

  const placeOf = (id: string, column: string) => ({ table: 'patients', column, tenant: practice.id, row: id });

  it('lie encrypted in the row, each bound to its place, the ssn in one form', async () => {
    const { id } = (await patients.create({ ...ada, ssn: '000-12-3456', notes: 'Señora’s note\n2' })).body;
    const row = await stored(id);
    expect(row.ssn_encrypted).toMatch(/^v1:k1:/);
    const cipher = cipherOf(['k1', 1]);
    expect(cipher.decrypt(placeOf(id, 'ssn'), row.ssn_encrypted ?? '')).toBe('000123456');
    expect(cipher.decrypt(placeOf(id, 'notes'), row.notes_encrypted ?? '')).toBe('Señora’s note\n2');
    await patients.update(id, { ssn: '000654321', notes: null });
    const changed = await stored(id);
    expect(cipher.decrypt(placeOf(id, 'ssn'), changed.ssn_encrypted ?? '')).toBe('000654321');
    expect(changed.notes_encrypted).toBeNull();
  });

  it('cannot be guessed from what is kept of a request: the same body leaves another hash under another key', async () => {
    const body = { ...ada, lastName: 'Hashed', ssn: '000-98-7654' };
    for (const key of ['key-one', 'key-two']) expect((await patients.create(body, key)).status).toBe(201);
    const kept = await world.sql<{ hash: string }>(
      `SELECT DISTINCT encode(request_hash, 'hex') AS hash FROM idempotency_records WHERE body LIKE '%Hashed%'`,
    );
    expect(kept).toHaveLength(2);
  });

  it('leave in no answer, log line, error, event or column, whatever happens to the request', async () => {
    const marks = ['000777888', '000-77-7888', 'Ivory-Marzipan'];
    const secrets = { ssn: '000-77-7888', notes: 'Ivory-Marzipan' };
    const created = await patients.create({ ...ada, ...secrets });
    const { id } = created.body;
    const texts = [created.text];
    const answers = [
      patients.update(id, secrets),
      patients.get(id),
      patients.list({ search: 'Ivory-Marzipan' }),
      patients.list({ search: '000777888' }),
      patients.create({ ...ada, ...secrets, dateOfBirth: '2023-02-30' }),
      patients.create({ ...ada, ...secrets, ssn: '000-77-7888-9' }),
      patients.create({ ...ada, ...secrets, extra: 1 }),
      patients.update('pat_nobody', secrets),
    ];
    texts.push(...(await Promise.all(answers)).map(({ text }) => text));
    // A failure inside the statement that carries them: the constraint's message would show the row.
    await world.sql(`ALTER TABLE patients ADD CONSTRAINT fails CHECK (first_name <> 'Breaker')`);
    const failed = await patients.create({ ...ada, ...secrets, firstName: 'Breaker' });
    expect(failed.status).toBe(500);
    texts.push(failed.text, (await call(gate, '/metrics')).text);
    await world.sql('ALTER TABLE patients DROP CONSTRAINT fails');
    const correlationId = failed.headers.get('x-correlation-id') ?? '';
    await until(() => gate.log.includes('A request failed') && gate.log.includes(correlationId));
    await until(
      () => gate.log.split(correlationId).length > 2,
      30_000,
      () => gate.log,
    ); // the access line, too
    texts.push(gate.log);
    const tables = await world.sql<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
    );
    for (const { name } of tables) {
      const [dump] = await world.sql<{ text: string | null }>(`SELECT json_agg(t)::text AS text FROM "${name}" t`);
      texts.push(dump?.text ?? '');
    }
    expect(tables.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['patients', 'outbox_events', 'idempotency_records']),
    );
    for (const mark of marks) for (const text of texts) expect(text).not.toContain(mark);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['a key that is another', { PHI_KEYS: keyText('k1', 9) }, /the key k1 is not the one that encrypted/],
    ['a new key alone', { PHI_KEYS: keyText('k2', 2) }, /the key k1, which stored values need, is missing/],
    ['a key that is none', { PHI_KEYS: 'k1:short' }, /PHI_KEYS must list keys/],
    ['the key file of a folder', {}, /the key k1, which stored values need, is missing/],
  ])('are not readable with %s: the process refuses to start, and says why', async (_, environment, complaint) => {
    const refused = GateProcess.spawn({ ...world.environment, ...environment });
    expect(await refused.ended()).toBe(1);
    expect(refused.log).toMatch(complaint);
    for (const byte of [1, 2, 9]) expect(refused.log).not.toContain(Buffer.alloc(32, byte).toString('base64'));
  });

  it('a key that is announced is not needed before it encrypts', async () => {
    const announced = await world.start({ PHI_KEYS: `${keyText('k1', 1)},${keyText('k3', 3)}` });
    await announced.end();
    const without = await world.start(oldKey);
    await without.end();
  });

  describe('when the key is rotated', () => {
    const count = 450;
    /** Each writes to patients of its own, so that it knows what it wrote last. */
    const writerCount = 4;
    let ids: string[];

    beforeAll(async () => {
      const cipher = cipherOf(['k1', 1]);
      ids = Array.from({ length: count }, (_, n) => `pat_r${String(n).padStart(4, '0')}`);
      await world.sql(
        `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, ssn_encrypted, notes_encrypted)
         SELECT $1, id, 'F', 'L', '1990-01-01', ssn, notes FROM unnest($2::text[], $3::text[], $4::text[]) AS r (id, ssn, notes)`,
        [
          practice.id,
          ids,
          ids.map((id, n) => cipher.encrypt(placeOf(id, 'ssn'), `000${String(n).padStart(6, '0')}`)),
          ids.map((id, n) => (n % 2 === 0 ? cipher.encrypt(placeOf(id, 'notes'), `note ${n}`) : null)),
        ],
      );
    });

    it('come under the new one while changes go on, and no change is lost', async () => {
      await gate.end();
      gate = await world.start(bothKeys);
      patients = await clientOf(gate);
      const last = new Map<string, string>();
      let stop = false;
      const writer = async (offset: number) => {
        for (let round = 0; !stop; round += 1) {
          const id = ids[offset + writerCount * ((round * 7) % Math.floor(count / writerCount))] ?? '';
          const notes = `changed ${offset} ${round}`;
          const { status } = await patients.update(id, { notes });
          expect(status).toBe(200);
          last.set(id, notes);
        }
      };
      const writers = Array.from({ length: writerCount }, (_, offset) => writer(offset));
      const rotated = await runProgram(world, 'phi-rotate', [], bothKeys);
      stop = true;
      await Promise.all(writers);
      expect(rotated.output).toMatch(/re-encrypted, 0 left/);
      expect(rotated.code).toBe(0);
      expect(last.size).toBeGreaterThan(3);
      const cipher = cipherOf(['k2', 2]); // the old key is not needed any more
      const rows = await world.sql<StoredPatient>(
        'SELECT id, ssn_encrypted, notes_encrypted FROM patients WHERE id = ANY ($1) ORDER BY id',
        [ids],
      );
      expect(rows).toHaveLength(count);
      for (const [n, { id, ssn_encrypted: ssn, notes_encrypted: notes }] of rows.entries()) {
        expect(cipher.decrypt(placeOf(id, 'ssn'), ssn ?? '')).toBe(`000${String(n).padStart(6, '0')}`);
        const expected = last.get(id) ?? (n % 2 === 0 ? `note ${n}` : null);
        expect(notes === null ? null : cipher.decrypt(placeOf(id, 'notes'), notes)).toBe(expected);
      }
    });

    it('have nothing left to do the second time', async () => {
      const again = await runProgram(world, 'phi-rotate', ['--by', 'ada'], bothKeys);
      expect([again.code, /(\d+) re-encrypted, 0 left/.exec(again.output)?.[1]]).toEqual([0, '0']);
      const entries = await world.sql(
        `SELECT actor, body -> 'detail' ->> 'by' AS by FROM audit_entries
         WHERE practice_id = 'platform' AND action = 'phi.rotate' ORDER BY seq`,
      );
      expect(entries).toEqual([
        { actor: 'program', by: null },
        { actor: 'program', by: 'ada' },
      ]);
    });

    it('the old key may then leave, and its name cannot come back with another key', async () => {
      const without = await world.start({ PHI_KEYS: keyText('k2', 2) });
      await without.end();
      const reused = GateProcess.spawn({ ...world.environment, PHI_KEYS: `${keyText('k2', 2)},${keyText('k1', 5)}` });
      expect(await reused.ended()).toBe(1);
    });

    it('what cannot be decrypted is named by its row, the rest is done, and the exit code is 1', async () => {
      const [victim = '', other = ''] = ids;
      await world.sql(`UPDATE field_keys SET retired_at = NULL WHERE id = 'k1'`);
      const moved = cipherOf(['k1', 1]).encrypt(placeOf(other, 'ssn'), '000999999');
      await world.sql('UPDATE patients SET ssn_encrypted = $2 WHERE id = $1', [victim, moved]);
      const fresh = cipherOf(['k1', 1]).encrypt(placeOf(other, 'ssn'), '000111111');
      await world.sql('UPDATE patients SET ssn_encrypted = $2 WHERE id = $1', [other, fresh]);
      const { code, output } = await runProgram(world, 'phi-rotate', [], bothKeys);
      expect(code).toBe(1);
      expect(output).toContain(`patients.ssn of row ${victim} cannot be decrypted`);
      expect(output).toMatch(/1 re-encrypted, 1 left/);
      expect(output).not.toContain(moved.slice(6));
      expect((await stored(other)).ssn_encrypted).toMatch(/^v1:k2:/);
      expect((await stored(victim)).ssn_encrypted).toBe(moved);
    });
  });
});
