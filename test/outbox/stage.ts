import type { GateProcess } from '../support/process';
import { World } from '../support/world';
import { seedPractices } from './happenings';
import { Lane } from './lane';
import { Outside } from './outside';

type Role = 'worker' | 'all' | 'api';

const consumers = ['sms', 'crm', 'analytics'] as const;

/**
 * A world, the services outside, and the processes between them, for all tests of a file: most of a test's time would go into
 * starting them. A test that fails leaves no state to the next one, which gets a world of its own.
 */
export class Stage {
  private living: { readonly role: Role; readonly gate: GateProcess }[] = [];
  private isSettled = false;

  private constructor(
    readonly world: World,
    readonly outside: Outside,
    readonly lanes: Readonly<Record<(typeof consumers)[number], Lane>>,
  ) {}

  private static async set(): Promise<Stage> {
    const [world, outside] = await Promise.all([World.create(), Outside.start()]);
    await seedPractices(world);
    const [sms, crm, analytics] = consumers.map((name) => new Lane(world, name)) as [Lane, Lane, Lane];
    return new Stage(world, outside, { sms, crm, analytics });
  }

  /** Sets one for the tests around the call; tells, in each of them, the one that stands. */
  static forTests(): () => Stage {
    let stage: Stage;
    beforeAll(async () => {
      stage = await Stage.set();
    });
    beforeEach(async () => {
      if (!stage.isSettled && stage.living.length > 0) {
        await stage.end();
        stage = await Stage.set();
      }
      await stage.clear();
    });
    afterAll(() => stage.end());
    return () => stage;
  }

  /** Says that nothing is under way any more: the next test may go on with the processes that live. */
  settle(): void {
    this.isSettled = true;
  }

  async start(role: Role = 'worker', concurrency = 4): Promise<GateProcess> {
    const settings = { GATEHOUSE_ROLE: role, WORKER_CONCURRENCY: String(concurrency) };
    const gate = await this.world.start({ ...settings, ...this.outside.environment });
    this.living.push({ role, gate });
    return gate;
  }

  /** A process by itself: the last of that role that was started and lives, or a new one. */
  async only(role: Role = 'worker'): Promise<GateProcess> {
    const last = this.living.filter((one) => one.role === role).at(-1);
    await Promise.all(this.living.filter((one) => one !== last).map(({ gate }) => this.kill(gate)));
    return last?.gate ?? this.start(role);
  }

  async none(): Promise<void> {
    await Promise.all(this.living.map(({ gate }) => this.kill(gate)));
  }

  async kill(gate: GateProcess): Promise<void> {
    this.living = this.living.filter((one) => one.gate !== gate);
    await gate.end('SIGKILL');
  }

  /** How many processes live. */
  get size(): number {
    return this.living.length;
  }

  private async clear(): Promise<void> {
    this.isSettled = false;
    await this.outside.reset();
    await this.world.sql('DELETE FROM event_deliveries');
    await this.world.sql('DELETE FROM outbox_events');
    await this.world.sql('DELETE FROM booking_daily_counts');
  }

  private async end(): Promise<void> {
    for (const lane of Object.values(this.lanes)) lane.close();
    await this.world.end();
    await this.outside.end();
  }
}
