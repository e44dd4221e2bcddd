import { SieveCache } from './sieve-cache';

it('never holds more than its capacity', () => {
  const cache = new SieveCache<number>(100);
  for (let n = 0; n < 10_000; n++) {
    cache.set(`key ${n}`, n);
    if (n % 3 === 0) cache.get(`key ${n - 50}`);
    expect(cache.size).toBeLessThanOrEqual(100);
  }
});

it('forgets first what was never asked for', () => {
  const cache = new SieveCache<number>(3);
  for (const key of ['a', 'b', 'c']) cache.set(key, 1);
  cache.get('a');
  cache.get('c');
  cache.set('d', 1);
  expect(['a', 'b', 'c', 'd'].filter((key) => cache.get(key) !== undefined)).toEqual(['a', 'c', 'd']);
});

it('makes room when everything was asked for', () => {
  const cache = new SieveCache<number>(3);
  for (const key of ['a', 'b', 'c']) cache.set(key, 1);
  for (const key of ['a', 'b', 'c']) cache.get(key);
  cache.set('d', 1);
  expect(cache.size).toBe(3);
  expect(cache.get('d')).toBe(1);
});

it('keeps what is in use while a stream of others passes through', () => {
  const cache = new SieveCache<number>(100);
  const used = Array.from({ length: 60 }, (_, n) => `used ${n}`);
  for (const key of used) cache.set(key, 1);
  for (let n = 0; n < 1_000; n++) {
    expect(used.filter((key) => cache.get(key) === undefined)).toEqual([]);
    cache.set(`passing ${n}`, 1);
  }
});

it('goes on after entries were deleted under its hand', () => {
  const cache = new SieveCache<number>(10);
  for (let n = 0; n < 200; n++) {
    cache.set(`key ${n}`, n);
    if (n % 7 === 0) cache.delete(`key ${n - 3}`);
    if (n % 31 === 0) cache.deleteWhere((value) => value % 2 === 0);
    if (n === 100) cache.clear();
    expect(cache.size).toBeLessThanOrEqual(10);
  }
  expect(cache.get('key 199')).toBe(199);
});
