import { Config } from '../../platform/config';
import { Metrics } from '../../platform/telemetry';
import type { Passage } from '../pipeline/around';
import { ConcurrencyPolicy } from './concurrency.policy';
import { CriticalWork } from './critical-work';

describe('ConcurrencyPolicy', () => {
  const passageOf = (workClass: string, caller: object | undefined) =>
    ({ route: { workClass }, request: { gate: { caller } } }) as unknown as Passage;

  it.each([
    ['critical', { userId: 'user_ada' }, true],
    ['critical', undefined, false],
    ['standard', { userId: 'user_ada' }, false],
  ])('takes %s work of the caller %j for critical: %s', async (workClass, caller, counts) => {
    const critical = new CriticalWork();
    const policy = new ConcurrencyPolicy(critical, Config.from({ NODE_ENV: 'test' }), new Metrics());
    let seen: boolean | undefined;
    const failing = policy.around(passageOf(workClass, caller), () => {
      seen = critical.isNear;
      return Promise.reject(new Error('failed'));
    });
    await expect(failing).rejects.toThrow('failed');
    expect(seen).toBe(counts);
  });
});
