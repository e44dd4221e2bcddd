import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { tokenFor } from './support/api';
import { seedPractice } from './support/practice';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { World } from './support/world';

const connections = 20;

describe('the memory of a process', () => {
  let world: World;
  let gate: GateProcess;

  beforeAll(async () => {
    world = await World.create();
    const preload = join(__dirname, 'support/count-requests-in-process.cjs');
    gate = await world.start({ NODE_OPTIONS: `--require ${preload}` });
  });
  afterAll(() => world.end());

  it('holds nothing of an answered request while its connection is kept', async () => {
    const practice = await seedPractice(world, 'kept', { patients: 5, slots: 0 });
    const token = await tokenFor(gate, { practice_id: practice.id, role: 'provider', usage_plan: 'internal' });
    const agent = new Agent({ keepAlive: true, maxSockets: connections });
    const list = () =>
      new Promise<number | undefined>((resolve, reject) => {
        request(`${gate.url}/patients`, { agent, headers: { authorization: `Bearer ${token}` } }, (response) => {
          response.resume().once('end', () => resolve(response.statusCode));
        })
          .once('error', reject)
          .end();
      });
    for (let round = 0; round < 3; round += 1) {
      expect(new Set(await Promise.all(Array.from({ length: connections }, list)))).toEqual(new Set([200]));
    }
    const counts = () => /requests: (\d+) seen, (\d+) alive\n$/.exec(gate.log)?.slice(1).map(Number) ?? [];
    await until(
      () => {
        gate.signal('SIGUSR2');
        const [seen = 0, alive] = counts();
        return seen > 3 * connections && alive === 0;
      },
      30_000,
      () => `of ${counts().join(' requests alive: ')}`,
    );
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(connections);
    agent.destroy();
  });
});
