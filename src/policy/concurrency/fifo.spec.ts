import fc from 'fast-check';
import { Fifo } from './fifo';

describe('Fifo', () => {
  it('gives what an array would, in any order of pushes and shifts, past its compaction', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ push: fc.boolean(), times: fc.integer({ min: 1, max: 900 }) })), (steps) => {
        const fifo = new Fifo<number>();
        const model: number[] = [];
        let next = 0;
        for (const { push, times } of steps) {
          for (let time = 0; time < times; time += 1) {
            if (push) {
              fifo.push(next);
              model.push(next);
              next += 1;
            } else {
              expect(fifo.shift()).toBe(model.shift());
            }
          }
          expect(fifo.length).toBe(model.length);
        }
      }),
      { numRuns: 50 },
    );
  });
});
