import { call } from './support/api';
import type { GateProcess } from './support/process';
import { World } from './support/world';

describe('a running process', () => {
  let world: World;
  let gate: GateProcess;

  beforeAll(async () => {
    world = await World.create();
    gate = await world.start();
  });
  afterAll(() => world.end());

  it('is alive and ready, and says on what it rests', async () => {
    expect((await call(gate, '/health/live')).body).toEqual({ status: 'ok' });
    expect((await call(gate, '/health/ready')).body).toEqual({
      status: 'ok',
      postgres: 'up',
      redis: 'up',
      queues: 'up',
    });
  });
});
