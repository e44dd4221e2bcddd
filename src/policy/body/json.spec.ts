import fc from 'fast-check';
import { PolicyRefusal } from '../errors/policy-refusal';
import { parseJson } from './json';
import { errorOffset } from './json-position';

const refusalOf = (text: string): PolicyRefusal => {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof PolicyRefusal) return error;
    throw error;
  }
  throw new Error('It was taken');
};
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe('the JSON of a body', () => {
  it.each([
    ['{"a":}', 5],
    ['{"a" 1}', 5],
    ['{"a":1,}', 7],
    ['{a:1}', 1],
    ["{'a':1}", 1],
    ['[1,2', 4],
    ['[1 2]', 3],
    ['[1,]', 3],
    ['{"a":tru}', 8],
    ['{"a":nul', 8],
    ['{"a":01}', 6],
    ['{"a":1.}', 6],
    ['{"a":-}', 5],
    ['{"a":"x', 7],
    ['{"a":"\n"}', 6],
    ['{"a":"\\x"}', 6],
    ['{"a":"\\u12g4"}', 6],
    ['{"a":1}}', 7],
    ['{}[]', 2],
    ['[}', 1],
    ['', 0],
    ['   ', 3],
    ['undefined', 0],
    ['NaN', 0],
  ])('stops being JSON in %j at %i', (text, offset) => {
    expect(errorOffset(text)).toBe(offset);
    expect(refusalOf(text)).toMatchObject({
      status: 400,
      code: 'malformed_json',
      extras: { members: { position: offset } },
    });
  });

  it('is refused with line and column, and without a word of what it said', () => {
    const refusal = refusalOf('{\n  "ssn": "123-45-6789",\n  secret\n}');
    expect(refusal.extras.members).toEqual({ position: 28, line: 3, column: 3 });
    expect(JSON.stringify(refusal)).not.toMatch(/ssn|6789|secret/);
  });

  it('has an error exactly where V8 sees one, for any text made of pieces of JSON', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"',
      '\\',
      '1',
      '-',
      '.5',
      'e+2',
      'true',
      'nul',
      ' ',
      '\n',
      '"\\u00e4"',
      '\t',
      '0',
      '"b":',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join('');
        const offset = errorOffset(text);
        let isJson = true;
        try {
          JSON.parse(text);
        } catch {
          isJson = false;
        }
        if (isJson) return offset === text.length;
        // What stands before the error can still become JSON, so that it is the first error.
        return offset <= text.length && errorOffset(text.slice(0, offset)) === offset;
      }),
      { numRuns: 5_000 },
    );
  });

  it('may be 32 deep and no deeper, and a depth of 100,000 costs no stack', () => {
    expect(parseJson(nested(32))).toEqual(JSON.parse(nested(32)));
    expect(refusalOf(nested(33)).code).toBe('json_too_deep');
    expect(refusalOf(nested(100_000)).code).toBe('json_too_deep');
    expect(refusalOf('['.repeat(100_000)).code).toBe('malformed_json');
    expect(refusalOf('{"a":'.repeat(33) + '1' + '}'.repeat(33)).code).toBe('json_too_deep');
  });

  it.each([
    '{"__proto__":{"admin":true}}',
    '[{"a":{"__proto__":1}}]',
    '{"\\u005f_proto__":1}',
    '{"constructor":{"prototype":{}}}',
  ])('reaches no prototype: %s', (text) => expect(refusalOf(text).code).toBe('forbidden_property'));

  it.each(['1', 'null', '"text"', 'true'])('is an object or an array, not %s', (text) => {
    expect(refusalOf(text).code).toBe('invalid_body');
  });

  it('keeps ordinary names that only look like it', () => {
    expect(parseJson('{"constructor":"Ana","prototype":1,"proto":{}}')).toEqual({
      constructor: 'Ana',
      prototype: 1,
      proto: {},
    });
  });
});
