import fc from 'fast-check';
import { createSecretKey } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FieldCipher, type FieldPlace } from './field-cipher';
import { keysOfFolder } from './key-file';
import { FieldUndecryptable } from './secrets.errors';

const keyOf = (id: string, byte: number) => ({ id, key: createSecretKey(Buffer.alloc(32, byte)) });
const place: FieldPlace = { table: 'patients', column: 'ssn', tenant: 'practice_a', row: 'pat_1' };
const anyText = fc.string({ unit: 'binary', maxLength: 200 });
const anyPlace = fc.record({ table: fc.string(), column: fc.string(), tenant: fc.string(), row: fc.string() });

describe('FieldCipher', () => {
  const cipher = new FieldCipher([keyOf('k2', 2), keyOf('k1', 1)]);

  it('gives back every text, under either key', () => {
    fc.assert(
      fc.property(anyText, anyPlace, fc.constantFrom('k1', 'k2'), (text, at, keyId) => {
        expect(cipher.decrypt(at, cipher.encryptWith(keyId, at, text))).toBe(text);
      }),
    );
  });

  it('names its version and its key, and encrypts the same text differently each time', () => {
    const values = Array.from({ length: 100 }, () => cipher.encrypt(place, '000123456'));
    expect(new Set(values).size).toBe(100);
    for (const value of values) expect(value).toMatch(/^v1:k2:[A-Za-z0-9_-]{50}$/); // 12 + 9 + 16 bytes
    expect(values.every((value) => value.startsWith(cipher.prefix))).toBe(true);
  });

  it('decrypts no value at another place', () => {
    fc.assert(
      fc.property(anyPlace, anyPlace, (at, elsewhere) => {
        fc.pre(JSON.stringify(Object.values(at)) !== JSON.stringify(Object.values(elsewhere)));
        const value = cipher.encrypt(at, 'text');
        expect(() => cipher.decrypt(elsewhere, value)).toThrow(FieldUndecryptable);
      }),
    );
    const value = cipher.encrypt(place, 'text');
    for (const part of ['table', 'column', 'tenant', 'row'] as const) {
      expect(() => cipher.decrypt({ ...place, [part]: 'another' }, value)).toThrow(FieldUndecryptable);
    }
    // What is joined must not run into each other.
    const joined = cipher.encrypt({ ...place, tenant: 'ab', row: 'c' }, 'text');
    expect(() => cipher.decrypt({ ...place, tenant: 'a', row: 'bc' }, joined)).toThrow(FieldUndecryptable);
  });

  it('decrypts no value that was changed, in whatever bit', () => {
    const value = cipher.encrypt(place, 'secret text');
    const [head, payload] = [value.slice(0, cipher.prefix.length), value.slice(cipher.prefix.length)];
    const bytes = Buffer.from(payload, 'base64url');
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
        const changed = Buffer.from(bytes);
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(() => cipher.decrypt(place, head + changed.toString('base64url'))).toThrow(FieldUndecryptable);
      }),
      { numRuns: 200 },
    );
    for (let length = 0; length < bytes.length; length += 1) {
      const cut = bytes.subarray(0, length).toString('base64url');
      expect(() => cipher.decrypt(place, head + cut)).toThrow(FieldUndecryptable);
    }
  });

  it.each(['', 'plain text', 'v2:k2:AAAA', 'v1:k2', 'v1:k2:', 'v1::AAAA', 'v1:k2:****'])('refuses “%s”', (value) => {
    expect(() => cipher.decrypt(place, value)).toThrow(FieldUndecryptable);
  });

  it('says which row and which key, and nothing of value or key', () => {
    const foreign = new FieldCipher([keyOf('k9', 9)]).encrypt(place, '000123456');
    const wrong = new FieldCipher([keyOf('k2', 9)]).encrypt(place, '000123456');
    for (const [value, reason] of [
      [foreign, 'k9 is not among PHI_KEYS'],
      [wrong, 'k2'],
    ] as const) {
      try {
        cipher.decrypt(place, value);
        throw new Error('It was decrypted');
      } catch (error) {
        const { message, stack } = error as Error;
        expect(message).toContain('patients.ssn of row pat_1 cannot be decrypted');
        expect(message).toContain(reason);
        expect(`${message}${stack ?? ''}`).not.toContain(value.slice(6));
        expect(message).not.toContain('000123456');
      }
    }
  });

  it('needs a key', () => {
    expect(() => new FieldCipher([])).toThrow('needs a key');
  });
});

describe('the key file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-keys-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is made once, also by many at once, for its owner alone', async () => {
    const nested = join(folder, 'data');
    const all = await Promise.all(Array.from({ length: 20 }, () => keysOfFolder(nested)));
    const [first] = all[0] ?? [];
    expect(first?.key.export()).toHaveLength(32);
    for (const keys of all) expect(keys[0]?.key.equals(first?.key ?? createSecretKey(Buffer.alloc(32)))).toBe(true);
    expect(await readdir(nested)).toEqual(['phi.keys']);
    expect((await stat(join(nested, 'phi.keys'))).mode & 0o777).toBe(0o600);
  });

  it('that is damaged is refused, and not replaced', async () => {
    await writeFile(join(folder, 'phi.keys'), 'dev:BwcHBw==\n');
    await expect(keysOfFolder(folder)).rejects.toThrow(/^The key file phi\.keys in DATA_DIR must list keys/);
    await expect(keysOfFolder(folder)).rejects.not.toThrow(/BwcH/);
  });
});
