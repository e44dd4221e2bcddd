import fc from 'fast-check';
import type { WorkClass } from '../context';
import { ClassGate } from './class-gate';

const classes: readonly WorkClass[] = ['critical', 'standard', 'bulk'];

describe('ClassGate', () => {
  it('keeps what is reserved for the critical class free, whatever the others want', () => {
    const gate = new ClassGate({ total: 10, reservedForCritical: 4, mostForBulk: 3 });
    while (gate.tryTake('bulk'));
    while (gate.tryTake('standard'));
    expect([gate.held('bulk'), gate.held('standard')]).toEqual([3, 3]);
    let critical = 0;
    while (gate.tryTake('critical')) critical += 1;
    expect(critical).toBe(4);
  });

  it('lets the critical class use all that is free', () => {
    const gate = new ClassGate({ total: 10, reservedForCritical: 4, mostForBulk: 3 });
    while (gate.tryTake('critical'));
    expect(gate.held('critical')).toBe(10);
    expect(gate.tryTake('standard')).toBe(false);
  });

  it('refuses to take back what it never gave', () => {
    expect(() => new ClassGate({ total: 1, reservedForCritical: 0, mostForBulk: 1 }).give('bulk')).toThrow(
      /More given back/,
    );
  });

  it('never holds more than its shares allow, in any order of taking and giving', () => {
    const step = fc.record({ take: fc.boolean(), of: fc.constantFrom(...classes) });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.nat(12),
        fc.nat(12),
        fc.array(step),
        (total, reserved, bulk, steps) => {
          const gate = new ClassGate({ total, reservedForCritical: Math.min(reserved, total), mostForBulk: bulk });
          for (const { take, of } of steps) {
            if (take) gate.tryTake(of);
            else if (gate.held(of) > 0) gate.give(of);
            const [critical, standard, held] = classes.map((name) => gate.held(name)) as [number, number, number];
            expect(critical + standard + held).toBeLessThanOrEqual(total);
            expect(held).toBeLessThanOrEqual(bulk);
          }
        },
      ),
    );
  });
});
