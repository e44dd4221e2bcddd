import fc from 'fast-check';
import { screen, signatureIn } from './screening';
import { signatures, suspiciousQuery } from './signatures';
import { attacks, ordinary } from './signatures.spec-support';

describe('an injection signature', () => {
  it.each(
    Object.entries(attacks).flatMap(([id, examples]) => examples.map(([place, text]) => [id, place, text] as const)),
  )('%s hits in the %s: %j', (id, place, text) => {
    const found = signatureIn(text, place);
    expect(found?.id).toBeDefined();
    const own = signatures.find((signature) => signature.id === id);
    const spaced = text.replaceAll('/**/', ' ');
    const decoded = /%[\da-f]{2}/i.test(text) && place === 'query' ? decodeURIComponent(spaced) : spaced;
    expect([text, spaced, decoded].some((form) => own?.pattern.test(form))).toBe(true);
  });

  it('is not passed over because its query looked harmless before it was decoded', () => {
    const texts = Object.values(attacks).flatMap((examples) => examples.filter(([place]) => place === 'query'));
    for (const [, text] of texts) {
      expect([text, suspiciousQuery.test(`q=${encodeURIComponent(text)}`)]).toEqual([text, true]);
      expect([text, suspiciousQuery.test(new URLSearchParams({ q: text }).toString())]).toEqual([text, true]);
    }
    expect(suspiciousQuery.test('date=2026-04-24&status=available&cursor=a_b~c.d')).toBe(false);
  });

  it('has attack strings of its own for each rule', () => {
    expect(Object.keys(attacks).sort()).toEqual(signatures.map(({ id }) => id).sort());
  });

  it.each(ordinary)('leaves ordinary text alone: %j', (text) => {
    expect(signatureIn(text, 'body')?.id).toBeUndefined();
    if (!text.includes('\r')) expect(signatureIn(text, 'query')?.id).toBeUndefined();
  });

  it('has no state between two texts, and a place to look', () => {
    for (const { pattern, places, reason } of signatures) {
      expect(pattern.flags).not.toMatch(/[gy]/);
      expect(places.length).toBeGreaterThan(0);
      expect(reason).not.toBe('');
    }
  });

  it('never hits words of any script, whatever stands between them', () => {
    const letter = fc.mapToConstant(
      { num: 26, build: (code) => String.fromCharCode(0x61 + code) },
      { num: 64, build: (code) => String.fromCodePoint(0x0391 + code) },
      { num: 64, build: (code) => String.fromCodePoint(0x0410 + code) },
      { num: 26, build: (code) => String.fromCodePoint(0x05d0 + code) },
      { num: 40, build: (code) => String.fromCodePoint(0x0621 + code) },
      { num: 2000, build: (code) => String.fromCodePoint(0x4e00 + code) },
      { num: 80, build: (code) => String.fromCodePoint(0x1f600 + code) },
      { num: 60, build: (code) => String.fromCodePoint(0xc0 + code) },
    );
    const name = fc.string({ unit: letter, minLength: 1, maxLength: 12 });
    const common = fc.constantFrom(
      'select',
      'or',
      'and',
      'like',
      'from',
      'where',
      'union',
      'drop',
      'table',
      'the',
      'list',
      'order',
      'by',
      'sleep',
      'delete',
      'update',
      'set',
      'into',
      "O'Brien",
      "don't",
      '5',
      '100%',
    );
    const words = fc.array(fc.oneof(name, common), { minLength: 1, maxLength: 12 });
    const between = fc.constantFrom(' ', ', ', '. ', ' & ', ' (', ') ', '! ', '? ', ': ', ' / ', ' + ', ' – ', '\n');
    fc.assert(
      fc.property(words, between, (list, gap) => {
        const text = list.join(gap);
        // Real SQL can come out of SQL's words; that it then hits is right.
        fc.pre(!/union[^a-z]+select/i.test(text));
        return signatureIn(text, 'body') === undefined && signatureIn(text, 'query') === undefined;
      }),
      { numRuns: 2_000 },
    );
  });

  it('never hits names and sentences of fullUnicode words', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 10 }), { maxLength: 8 }), (list) => {
        const text = list.join(' ').replaceAll(/[\0\r]/g, '');
        // A quote before a comment is what an injection ends with, whatever stands before it.
        fc.pre(!/['"][\s);]*(?:--|#|\/\*)/.test(text));
        return signatureIn(text, 'body') === undefined;
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('the screening of an input', () => {
  it('names the place as a JSON Pointer, with names escaped', () => {
    expect(screen({ a: [{ 'x/y~z': "' or 1=1" }] }, 'body', undefined)?.pointer).toBe('/a/0/x~1y~0z');
    expect(screen({ a: { $gt: '' } }, 'body', undefined)).toMatchObject({
      pointer: '/a',
      signature: { id: 'nosqli-operator-name' },
    });
  });

  it('looks at names as well as at values', () => {
    expect(screen({ "' or 1=1": 1 }, 'body', undefined)?.signature.id).toBe('sqli-tautology');
  });

  it('spares what is free text, and all beneath it, except for NUL', () => {
    const exemptions = { properties: new Map([['note', 'free text' as const]]) };
    expect(screen({ note: { $gt: "' or 1=1" } }, 'body', exemptions)).toBeUndefined();
    expect(screen({ other: "' or 1=1" }, 'body', exemptions)?.pointer).toBe('/other');
    expect(screen({ note: ['a', { b: 'c\0' }] }, 'body', exemptions)).toMatchObject({
      pointer: '/note/1/b',
      signature: { id: 'nul-byte' },
    });
    expect(screen([{ note: '../../x' }], 'body', exemptions)).toBeUndefined();
  });
});
