import { call } from './support/api';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { World } from './support/world';

describe('running processes', () => {
  let world: World;
  let worker: GateProcess;
  let api: GateProcess;

  beforeAll(async () => {
    world = await World.create();
    [worker, api] = await Promise.all([
      world.start({ REDIS_DEADLINE_MS: '1000' }),
      world.start({ REDIS_DEADLINE_MS: '1000', GATEHOUSE_ROLE: 'api' }),
    ]);
  });
  afterAll(() => world.end());

  const ready = async (gate: GateProcess) => (await call(gate, '/health/ready')).body;
  const becomes = async (gate: GateProcess, wanted: Record<string, string>) => {
    let last: unknown;
    await until(
      async () => {
        last = await ready(gate);
        return Object.entries(wanted).every(([name, value]) => (last as Record<string, unknown>)[name] === value);
      },
      30_000,
      () => `still ${JSON.stringify(last)}`,
    );
  };

  const well = { status: 'ok', postgres: 'up', redis: 'up', queues: 'up' };

  it('are alive and ready, and say on what they rest', async () => {
    for (const gate of [worker, api]) {
      expect((await call(gate, '/health/live')).body).toEqual({ status: 'ok' });
      await becomes(gate, well);
      expect(Object.keys(await ready(gate))).toEqual(Object.keys(well));
    }
  });

  it('say that the queues are down where nothing can be put onto them, though Redis answers', async () => {
    await world.sql('ALTER TABLE event_deliveries RENAME TO event_deliveries_away');
    await becomes(worker, { status: 'degraded', postgres: 'up', redis: 'up', queues: 'down' });
    await becomes(api, well);
    await world.sql('ALTER TABLE event_deliveries_away RENAME TO event_deliveries');
    await becomes(worker, well);
  });

  it('stay ready while Redis does not answer, and say so', async () => {
    process.kill(world.redisPid, 'SIGSTOP');
    try {
      await becomes(worker, { status: 'degraded', redis: 'down', queues: 'down' });
      await becomes(api, { status: 'degraded', redis: 'down', queues: 'down' });
      expect((await call(worker, '/health/ready')).status).toBe(200);
    } finally {
      process.kill(world.redisPid, 'SIGCONT');
    }
    await becomes(worker, well);
    await becomes(api, well);
  });
});
