import { firstRetryMs, maxAttempts, mostRetryAfterMs, mostRetryMs, retryDelayMs } from './settings';

const middle = 0.5;

describe('the schedule of retries', () => {
  it('begins with seconds, doubles, and never waits for more than five minutes', () => {
    const delays = Array.from({ length: 12 }, (_, index) => retryDelayMs(index + 1, undefined, middle) / 1000);
    expect(delays).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]);
  });

  it('lasts about a day in all', () => {
    let total = 0;
    for (let attempt = 1; attempt < maxAttempts; attempt += 1) total += retryDelayMs(attempt, undefined, middle);
    expect(total / 3_600_000).toBeCloseTo(24, 0);
  });

  it('spreads each wait by a fifth in both directions', () => {
    expect([retryDelayMs(1, undefined, 0), retryDelayMs(1, undefined, 1)]).toEqual([
      firstRetryMs * 0.8,
      firstRetryMs * 1.2,
    ]);
  });

  it('honours a longer wish of the other side, up to an hour, and no shorter one', () => {
    expect(retryDelayMs(1, 60_000, middle)).toBe(60_000);
    expect(retryDelayMs(1, 1, middle)).toBe(firstRetryMs);
    expect(retryDelayMs(1, 1e12, middle)).toBe(mostRetryAfterMs);
  });

  it('stays finite however often was tried', () => {
    expect(retryDelayMs(1e9, undefined, middle)).toBe(mostRetryMs);
  });
});
