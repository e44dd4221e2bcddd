import { runProgram } from './support/program';
import { World } from './support/world';

/** Each test starts programs. */
jest.setTimeout(120_000);

describe('audit:verify of one chain', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.create();
    // A program's use is an entry, so that there is one chain.
    expect((await runProgram(world, 'phi-rotate')).code).toBe(0);
  });
  afterAll(() => world.end());

  const verify = (...given: string[]) => runProgram(world, 'audit-verify', ['--practice', 'platform', ...given]);

  it('says that it is whole, where it is told that there are no anchors to compare with', async () => {
    const { code, output } = await verify('--without-anchors');
    expect([code, output]).toEqual([0, expect.stringMatching(/^1 chains, 1 entries [^]*every chain is whole/)]);
  });

  it('does not say so where there should be anchors and are none', async () => {
    const { code, output } = await verify();
    expect([code, output]).toEqual([1, expect.stringMatching(/^1 chains, 1 entries [^]*no anchors at /)]);
    expect(output).not.toContain('whole');
  });

  it('that neither the database nor the anchors know is an error, not a chain that is whole', async () => {
    const { code, output } = await runProgram(world, 'audit-verify', ['--practice', 'plattform']);
    expect([code, output]).toEqual([1, expect.stringContaining('no such chain: plattform')]);
    expect(output).not.toContain('whole');
  });
});
