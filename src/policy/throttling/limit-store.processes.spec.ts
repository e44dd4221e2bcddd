import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { freshName, LimitNode, windowRule } from '../../../test/support/limits';
import { builtDir, root } from '../../../test/support/places';
import { World } from '../../../test/support/world';

interface Outcome {
  readonly passed: number;
  readonly local: number;
}

describe('one limit over four processes', () => {
  let world: World;
  let contenders: ChildProcess[];

  beforeAll(async () => {
    world = await World.create();
    contenders = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const child = fork(join(root, 'test/support/limit-contender.cjs'), [builtDir, world.redisUrl]);
        await once(child, 'message');
        return child;
      }),
    );
  });
  afterAll(async () => {
    for (const child of contenders) child.kill('SIGKILL');
    await world.end();
  });

  /** 200 clients at once, 50 at each process; how many of them passed. */
  const race = async (name: string, micros: number): Promise<number> => {
    const outcomes = await Promise.all(
      contenders.map(async (child) => {
        const answer = once(child, 'message') as Promise<[Outcome]>;
        child.send({ name, requests: 20, calls: 50, micros });
        return (await answer)[0];
      }),
    );
    expect(outcomes.map(({ local }) => local)).toEqual([0, 0, 0, 0]);
    return outcomes.reduce((sum, { passed }) => sum + passed, 0);
  };

  it('lets exactly 20 of 200 pass, a thousand times, on Redis’ clock and at moments that jump about', async () => {
    const passed: number[] = [];
    for (let round = 0; round < 1_000; round += 1) {
      const micros = round % 2 === 0 ? 0 : (Date.now() + ((round * 7_919) % 100_000) - 50_000) * 1000;
      passed.push(await race(freshName(), micros));
    }
    expect(passed.filter((count) => count !== 20)).toEqual([]);
    expect(passed).toHaveLength(1_000);
  }, 120_000);

  it('lets exactly 20 pass in each span of 60 s when the clock runs on under one key', async () => {
    const name = freshName();
    const start = Date.now() * 1000;
    for (let minute = 0; minute < 30; minute += 1) {
      expect(await race(name, start + minute * 60_000_000)).toBe(20);
      expect(await race(name, start + minute * 60_000_000 + 59_999_000)).toBe(0);
    }
  }, 60_000);

  it('counts the nodes that live, and forgets those that do not', async () => {
    const node = await LimitNode.start(world.redisUrl);
    try {
      expect(node.watch.nodes).toBe(5);
      expect((await node.fresh(windowRule(1), [freshName()])).allowed).toBe(true);
    } finally {
      node.stop();
    }
  });
});
