import { join } from 'node:path';
import { requestsPerMinuteOfTier } from '../src/policy/throttling/usage-plans';
import { call, callPatiently } from './support/api';
import { HeldClock } from './support/held-clock';
import type { GateProcess } from './support/process';
import { botToken, seedWorkspace, type Workspace } from './support/workspace';
import { World } from './support/world';

jest.setTimeout(120_000);

const limit = requestsPerMinuteOfTier[2];
const clients = 200;

describe.each(['Redis’ clock', 'a clock that is moved'] as const)('one app at four processes, on %s', (by) => {
  let world: World;
  let clock: HeldClock;
  let gates: GateProcess[];
  let workspace: Workspace;
  let made = 0;

  beforeAll(async () => {
    world = await World.create();
    clock = new HeldClock(world);
    workspace = await seedWorkspace(world, 'x');
    const environment = { GATEHOUSE_ROLE: 'api', REDIS_DEADLINE_MS: '5000' };
    // Of processes whose clocks differ by more than a window, one that counted by its own would let others' requests go.
    const shift = join(__dirname, 'support', 'shift-clock-in-process.cjs');
    const clockOf = (n: number) =>
      by === 'Redis’ clock'
        ? { NODE_OPTIONS: `--require ${shift}`, CLOCK_AHEAD_MS: String(n * 70_000) }
        : clock.environment;
    gates = await Promise.all(Array.from({ length: 4 }, (_, n) => world.start({ ...environment, ...clockOf(n) })));
  });
  afterAll(() => world.end());

  const freshApp = () => `app_gates${(made += 1)}`;
  const gateOf = (n: number): GateProcess => {
    const gate = gates[n % gates.length];
    if (!gate) throw new Error('There is no process');
    return gate;
  };
  const tokenOf = (app: string) => botToken(gateOf(0), workspace, { client_id: app });
  /** All clients at once, each posting once; how many were answered so. */
  const post = async (token: string) => {
    const counts = { posted: 0, limited: 0, other: 0 };
    const one = async (n: number) => {
      const { status, body } = await callPatiently(gateOf(n), '/api/chat.postMessage', {
        token,
        body: { channel: 'Cx1', text: `number ${n}` },
      });
      if (status === 200 && body.ok === true) counts.posted += 1;
      else if (status === 429 && body.error === 'ratelimited') counts.limited += 1;
      else counts.other += 1;
    };
    await Promise.all(Array.from({ length: clients }, (_, n) => one(n)));
    return counts;
  };
  const exactly = { posted: limit, limited: clients - limit, other: 0 };
  const messagesOf = async (app: string) =>
    (await world.sql<{ text: string }>('SELECT text FROM messages WHERE app_id = $1', [app])).length;
  const decidedLocally = async () => {
    const texts = await Promise.all(gates.map(async (gate) => (await call(gate, '/metrics')).text));
    return texts.map((text) => Number(/^throttle_local_decisions_total (\S+)$/m.exec(text)?.[1]));
  };
  afterEach(async () => expect(await decidedLocally()).toEqual([0, 0, 0, 0]));

  it(`has exactly ${limit} of ${clients} posts at once accepted and the others refused, each time`, async () => {
    for (let round = 0; round < 8; round += 1) {
      const app = freshApp();
      expect(await post(await tokenOf(app))).toEqual(exactly);
      expect(await messagesOf(app)).toBe(limit);
      clock.advance(round * 7_919);
    }
  });

  if (by === 'Redis’ clock') return;

  it(`has exactly ${limit} accepted in each minute while time goes on`, async () => {
    const app = freshApp();
    const token = await tokenOf(app);
    for (let minute = 1; minute <= 4; minute += 1) {
      expect(await post(token)).toEqual(exactly);
      clock.advance(59_999);
      expect(await post(token)).toEqual({ posted: 0, limited: clients, other: 0 });
      clock.advance(1);
      expect(await messagesOf(app)).toBe(minute * limit);
    }
  });
});
