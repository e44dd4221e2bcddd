import fc from 'fast-check';
import type { WorkClass } from '../context';
import { ClassGate } from './class-gate';
import { type Place, WaitingLine } from './waiting-line';

const classes: readonly WorkClass[] = ['critical', 'standard', 'bulk'];

describe('WaitingLine', () => {
  it('lets as many of a class wait as its connections could still serve, and each class for itself', () => {
    const { most } = new WaitingLine({ total: 20, reservedForCritical: 6, mostForBulk: 7 });
    expect(most).toEqual({ critical: 1280, standard: 224, bulk: 56 });
  });

  it('admits critical work first, then who came first, skips a class whose share is taken, and forgets who left', () => {
    const step = fc.record({
      of: fc.constantFrom(...classes),
      act: fc.constantFrom('enter' as const, 'enter' as const, 'leave' as const, 'give' as const),
    });
    const shares = { total: 3, reservedForCritical: 1, mostForBulk: 1 };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const gate = new ClassGate(shares);
        const line = new WaitingLine<string>(shares);
        const waiting: Place<string>[] = [];
        const admitted: number[] = [];
        for (const { of, act } of steps) {
          if (act === 'enter') {
            if (gate.tryTake(of)) continue;
            const before = waiting.filter(({ workClass }) => workClass === of).length;
            const place = line.enter(of, () => place && admitted.push(place.arrival));
            expect(place !== undefined).toBe(before < line.most[of]);
            if (place) waiting.push(place);
          } else if (act === 'leave') {
            const gone = waiting.findIndex(({ workClass }) => workClass === of);
            if (gone >= 0) waiting.splice(gone, 1).forEach((place) => line.leave(place));
          } else if (gate.held(of) > 0) {
            gate.give(of);
            const held = new ClassGate(shares);
            for (const name of classes) for (let n = gate.held(name); n > 0; n -= 1) held.tryTake(name);
            const inTurn = [
              ...waiting.filter(({ workClass }) => workClass === 'critical'),
              ...waiting.filter(({ workClass }) => workClass !== 'critical'),
            ];
            const expected = inTurn.find(({ workClass }) => held.tryTake(workClass));
            const already = admitted.length;
            line.next(gate)?.admit();
            expect(admitted.slice(already)).toEqual(expected ? [expected.arrival] : []);
            if (expected) waiting.splice(waiting.indexOf(expected), 1);
          }
        }
      }),
    );
  });
});
