import { until } from '../../../test/support/until';
import { Config, ManualClock } from '../config';
import { Log } from '../telemetry';
import { Loop } from './loop';

const log = new Log(Config.from({ NODE_ENV: 'test' }), { write: () => undefined });

it('is unwell while its steps fail, and well again with the first that does not', async () => {
  let fails = true;
  let steps = 0;
  const step = () => {
    steps += 1;
    return fails ? Promise.reject(new Error('away')) : Promise.resolve('idle' as const);
  };
  const loop = new Loop('test', step, log, new ManualClock());
  expect(loop.isWell).toBe(true);
  loop.start();
  await until(() => steps > 0 && !loop.isWell);
  fails = false;
  loop.wake();
  await until(() => loop.isWell);
  await loop.stop();
});

it('is unwell while a step hangs, and well when it has come back', async () => {
  const clock = new ManualClock();
  let comesBack: () => void = () => undefined;
  const step = () => new Promise<'idle'>((resolve) => (comesBack = () => resolve('idle')));
  const loop = new Loop('test', step, log, clock);
  loop.start();
  clock.advance(9_999);
  expect(loop.isWell).toBe(true);
  clock.advance(1);
  expect(loop.isWell).toBe(false);
  comesBack();
  await until(() => loop.isWell);
  const stopped = loop.stop();
  comesBack();
  await stopped;
});
