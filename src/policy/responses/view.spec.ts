import { ApiProperty } from '@nestjs/swagger';
import { pickerOf } from './view';

class Inner {
  @ApiProperty({ type: String })
  readonly name!: string;
}

class Outer {
  @ApiProperty({ type: String })
  readonly id!: string;

  @ApiProperty({ type: () => Inner, nullable: true })
  readonly inner!: Inner | null;

  @ApiProperty({ type: Inner, isArray: true })
  readonly list!: Inner[];
}

class Wider extends Outer {
  @ApiProperty({ type: Number, required: false })
  readonly count?: number;
}

const source = {
  id: 'a',
  ssn: '000-00-0000',
  inner: { name: 'b', secret: 1 },
  list: [{ name: 'c', secret: 2 }],
  count: 3,
};

describe('pickerOf', () => {
  it('copies what the view lists and nothing else, at any depth', () => {
    expect(pickerOf(Outer)(source)).toEqual({ id: 'a', inner: { name: 'b' }, list: [{ name: 'c' }] });
  });

  it('protects against deep query data leakage through a property that the entity grew', () => {
    expect(JSON.stringify(pickerOf(Wider)(source))).not.toMatch(/ssn|secret/);
  });

  it('lists inherited fields, too', () => {
    expect(pickerOf(Wider)(source)).toEqual({ id: 'a', inner: { name: 'b' }, list: [{ name: 'c' }], count: 3 });
  });

  it('keeps null and leaves out what is not there', () => {
    expect(pickerOf(Wider)({ id: 'a', inner: null, list: [] })).toEqual({ id: 'a', inner: null, list: [] });
  });

  it('refuses a view that lists nothing', () => {
    class Empty {}
    expect(() => pickerOf(Empty)).toThrow(/lists no fields/);
  });
});
