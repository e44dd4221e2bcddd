import { LimitNode } from '../../../test/support/limits';
import { until } from '../../../test/support/until';
import { World } from '../../../test/support/world';
import { AppTally } from './app-tally';

describe('the tally of the apps', () => {
  let world: World;
  let node: LimitNode;

  beforeAll(async () => {
    world = await World.create();
    node = await LimitNode.start(world.redisUrl, {});
  });
  afterAll(async () => {
    node.stop();
    await world.end();
  });

  it('counts once what Redis heard and could not answer in time', async () => {
    const tally = new AppTally(node.redis, node.clock);
    // None while Redis is late to say.
    const requests = async () => (await tally.top('requests', 0, 1).catch(() => []))[0]?.requests;
    const pid = world.redisPid;
    process.kill(pid, 'SIGSTOP');
    try {
      for (let n = 0; n < 5; n += 1) tally.count('app_late', true);
      await tally.onApplicationShutdown(); // has told, and had no answer
      tally.count('app_late', true);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until(async () => (await requests()) === 6, 30_000);
    await tally.onApplicationShutdown();
    let found: number | undefined;
    await until(async () => (found = await requests()) !== undefined);
    expect(found).toBe(6);
  });
});
