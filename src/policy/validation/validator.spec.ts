import { ApiProperty } from '@nestjs/swagger';
import fc from 'fast-check';
import { PolicyRefusal } from '../errors/policy-refusal';
import { validatorOf } from './validator';

class Line {
  @ApiProperty({ type: String, maxLength: 5 })
  readonly text!: string;
}

class Order {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: 9, default: 3, required: false })
  readonly count: number = 3;

  @ApiProperty({ type: String, format: 'date', required: false })
  readonly date?: string;

  @ApiProperty({ type: String, enum: ['a', 'b'] })
  readonly kind!: 'a' | 'b';

  @ApiProperty({ type: String, enum: ['a', 'b', null], nullable: true, required: false })
  readonly other?: 'a' | 'b' | null;

  @ApiProperty({ type: () => Line, isArray: true, maxItems: 2, required: false })
  readonly lines?: Line[];
}

function errorsOf(input: unknown, source: 'body' | 'query' = 'body'): unknown {
  try {
    validatorOf(Order, source)(input);
    return [];
  } catch (error) {
    if (!(error instanceof PolicyRefusal)) throw error;
    expect(error.status).toBe(400);
    return error.extras.errors;
  }
}

describe('validatorOf', () => {
  it('takes what the DTO declares and fills in defaults', () => {
    const input = { kind: 'a', lines: [{ text: 'hello' }] };
    expect(errorsOf(input)).toEqual([]);
    expect(input).toEqual({ kind: 'a', count: 3, lines: [{ text: 'hello' }] });
  });

  it('names each wrong place as a JSON Pointer', () => {
    expect(errorsOf({ kind: 'c', other: 'c', count: 0, lines: [{ text: 'too long' }, {}] })).toEqual(
      expect.arrayContaining([
        { path: '/kind', message: 'must be one of a, b' },
        { path: '/other', message: 'must be one of a, b, null' },
        { path: '/count', message: 'must be >= 1' },
        { path: '/lines/0/text', message: 'must NOT have more than 5 characters' },
        { path: '/lines/1/text', message: 'is required' },
      ]),
    );
  });

  it('refuses properties that nobody declared, whatever their name', () => {
    expect(errorsOf({ kind: 'a', isAdmin: true })).toEqual([{ path: '/isAdmin', message: 'is not known here' }]);
    expect(errorsOf(JSON.parse('{"kind":"a","__proto__":{"x":1}}'))).toEqual([
      { path: '/__proto__', message: 'is not known here' },
    ]);
    expect(errorsOf({ kind: 'a', constructor: 1 })).toEqual([{ path: '/constructor', message: 'is not known here' }]);
  });

  it('does not convert types in a body, and does in a query', () => {
    expect(errorsOf({ kind: 'a', count: '2' })).toEqual([{ path: '/count', message: 'must be integer' }]);
    const query = { kind: 'a', count: '2' };
    expect(errorsOf(query, 'query')).toEqual([]);
    expect(query.count).toBe(2);
  });

  it('knows the days of the calendar', () => {
    expect(errorsOf({ kind: 'a', date: '2026-02-29' })).toHaveLength(1);
    expect(errorsOf({ kind: 'a', date: '2028-02-29' })).toEqual([]);
  });

  it('answers any JSON with a verdict, never with an accident', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (input) => {
        expect(Array.isArray(errorsOf(input))).toBe(true);
      }),
    );
  });
});
