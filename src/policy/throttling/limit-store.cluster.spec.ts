import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { LimitNode } from '../../../test/support/limits';
import { until } from '../../../test/support/until';
import { World } from '../../../test/support/world';
import { ruleOf } from './limits';
import { limitOfTier, limitsOfPlan } from './usage-plans';

describe('the limit store on a Redis Cluster', () => {
  let world: World;
  let folder: string;
  let server: ChildProcess;
  let node: LimitNode;

  beforeAll(async () => {
    world = await World.create();
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-cluster-'));
    const binary = await redisBinary(world.redisUrl);
    const port = await freePort();
    const options = ['--port', String(port), '--cluster-enabled', 'yes', '--save', '', '--dir', folder];
    // The bus' port is the server's and 10,000 unless told otherwise.
    server = spawn(binary, [...options, '--cluster-port', String(await freePort())], {
      env: { LD_LIBRARY_PATH: librariesOf(binary) },
      stdio: 'ignore',
    });
    node = await LimitNode.start(`redis://127.0.0.1:${port}`);
    await until(() => node.redis.isReady);
    await node.redis.commands.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await until(async () => String(await node.redis.commands.call('CLUSTER', 'INFO')).includes('cluster_state:ok'));
    await until(() => node.watch.isTrusted && node.watch.isCluster);
  });
  afterAll(async () => {
    node.stop();
    server.kill('SIGKILL');
    await once(server, 'exit');
    await rm(folder, { recursive: true, force: true });
    await world.end();
  });

  it('decides many apps at once, each in its slot, and settles them there', async () => {
    const rule = ruleOf([limitOfTier(2, 'post'), limitsOfPlan.standard]);
    const subjects = Array.from({ length: 100 }, (_, index) => {
      const app = node.keys.of(`app-${index}`);
      return [app.window('w', 'POST /x'), app.plan];
    });
    const decisions = await Promise.all(subjects.map(async (keys) => node.store.decide(rule, keys, 1)));
    expect(decisions.filter(({ allowed, decidedAtMs }) => allowed && decidedAtMs !== undefined)).toHaveLength(100);

    node.watch.distrust(new Error('as if Redis were away'));
    await Promise.all(subjects.map(async (keys) => node.store.decide(rule, keys, 1)));
    await until(() => node.watch.isTrusted);
    const looks = await Promise.all(subjects.map(async (keys) => node.store.decide(rule, keys, 0)));
    expect(looks.filter(({ reports }) => reports[0]?.remaining === 18 && reports[2]?.remaining === 9_998)).toHaveLength(
      100,
    );
  });
});

/** The server that the embedded one runs. */
async function redisBinary(redisUrl: string): Promise<string> {
  const other = await LimitNode.start(redisUrl);
  const found = /executable:(.+?)\r?\n/.exec(await other.redis.commands.info('server'))?.[1];
  other.stop();
  if (found === undefined) throw new Error('Redis does not say what it runs');
  return found;
}

/** Where the distribution's package, unpacked and not installed, has its libraries. */
function librariesOf(binary: string): string {
  const lib = resolve(binary, '../../lib');
  return [
    lib,
    ...readdirSync(lib)
      .filter((name) => name.includes('linux'))
      .map((name) => join(lib, name)),
  ].join(':');
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
