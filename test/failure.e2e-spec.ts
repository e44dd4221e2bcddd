import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { GateProcess } from './support/process';
import { runProgram } from './support/program';
import { World } from './support/world';

/** Nobody listens there. */
const nowhere = 'postgres://gatehouse:not-to-be-shown@127.0.0.1:1/elsewhere';

describe('what cannot go on', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.create();
  });
  afterAll(() => world.end());

  it.each([
    ['as the owner of the tables', { DATABASE_ADMIN_URL: nowhere }, 'DATABASE_ADMIN_URL 127.0.0.1:1/elsewhere'],
    ['as the runtime role', { DATABASE_URL: nowhere }, 'DATABASE_URL 127.0.0.1:1/elsewhere'],
  ])('names the database that does not answer %s, and no password', async (_, environment, address) => {
    const gate = GateProcess.spawn({ ...world.environment, ...environment });
    expect(await gate.ended()).toBe(1);
    expect(gate.log).toMatch(/^gatehouse: a database does not answer \(.*\): connect ECONNREFUSED 127\.0\.0\.1:1$/m);
    expect(gate.log).toContain(address);
    expect(gate.log).not.toContain('not-to-be-shown');
  });

  it('is a port that is taken, and nothing is started for it', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const gate = GateProcess.spawn({ ...world.environment, HOST: '127.0.0.1', PORT: String(port) });
    expect(await gate.ended()).toBe(1);
    expect(gate.log.trim()).toBe(
      `gatehouse: port ${port} is taken: stop the other program, or start with PORT=${port + 1}`,
    );
    other.close();
  });

  it.each(['migrate', 'tenant-erase'])('is told by the program %s in the same words', async (name) => {
    const tenant = ['--practice', 'practice_p001', '--confirm', 'practice_p001'];
    const args = name === 'migrate' ? [] : tenant;
    const { code, output } = await runProgram(world, name, args, { DATABASE_ADMIN_URL: nowhere });
    expect(code).toBe(1);
    expect(output).toMatch(/a database does not answer \(DATABASE_ADMIN_URL 127\.0\.0\.1:1\/elsewhere/);
    expect(output).not.toContain('not-to-be-shown');
  });

  it.each([
    ['tenant-erase', /^gatehouse: Unknown option '--tenant'.* Usage: npm run tenant:erase -- /m],
    ['tenant-export', /^gatehouse: Unknown option '--tenant'.* Usage: npm run tenant:export -- /m],
  ])('of %s, an option that it does not know, ends with its usage', async (name, message) => {
    const { code, output } = await runProgram(world, name, ['--tenant', 'practice_p001']);
    expect(code).toBe(1);
    expect(output).toMatch(message);
  });
});
