import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import {
  App,
  type AppSettings,
  compileEmbedded,
  connectionsTo,
  eventually,
  isAlive,
  listeningAddresses,
  makeFolder,
  query,
  redisCommand,
} from './embedded/apps';
import { call, tokenFor } from './support/api';
import { GateProcess } from './support/process';

const nobody = { uid: 65534, gid: 65534 };
/** Somebody else than the one whom root gives the servers to; on every Linux (LSB, 23.1). */
const daemon = { uid: 1, gid: 1 };
const isRoot = process.getuid?.() === 0;

describe('the embedded servers', () => {
  const root = makeFolder();
  const home = join(root, 'shared');
  const apps: App[] = [];
  let compiled: string;

  const start = (options: object = {}, settings: AppSettings & { compiled?: string } = {}) => {
    const app = new App(settings.compiled ?? compiled, { dataDir: home, ...options }, settings);
    apps.push(app);
    return app;
  };
  const watchdogPid = (folder = home) =>
    (JSON.parse(readFileSync(join(folder, 'servers.json'), 'utf8')) as { watchdogPid: number }).watchdogPid;
  /** A new data folder that need not download Redis again. */
  const folderWithCache = (name: string) => {
    const folder = join(root, name);
    mkdirSync(folder);
    if (existsSync(join(home, 'cache'))) cpSync(join(home, 'cache'), join(folder, 'cache'), { recursive: true });
    return folder;
  };

  beforeAll(() => {
    compiled = compileEmbedded();
  });

  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.kill()));
    await eventually(() => !existsSync(join(home, 'servers.json')) || !isAlive(watchdogPid()));
  });

  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
    rmSync(dirname(compiled), { recursive: true, force: true });
  });

  it('start from nothing, on loopback only, with passwords that only their owner can read', async () => {
    const { postgres, redis } = await start().ready();
    expect(await query(postgres.url, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
    expect(await redisCommand(redis.url, 'CONFIG', 'GET', 'maxmemory-policy')).toEqual([
      'maxmemory-policy',
      'noeviction',
    ]);
    for (const port of [postgres.port, Number(new URL(redis.url).port)]) {
      expect(listeningAddresses(port).map((address) => address.split(':')[0])).toEqual(['0100007F']);
    }
    for (const file of ['postgres.password', 'redis.password', 'servers.json']) {
      expect(statSync(join(home, file)).mode & 0o777).toBe(0o600);
    }
    await expect(query(postgres.url.replace(/:[^:@]+@/, ':wrong@'), 'SELECT 1')).rejects.toThrow('password');
    await expect(redisCommand(redis.url.replace(/:[^:@]+@/, ':wrong@'), 'PING')).rejects.toThrow();
    const owner = (pid: number) => statSync(`/proc/${pid}`).uid;
    expect([owner(postgres.pid), owner(redis.pid)]).not.toContain(0);
  }, 120_000);

  it('start again on the same ports, with the data that was kept', async () => {
    const first = start();
    const before = await first.ready();
    await query(before.postgres.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    expect([before.postgres.pid, before.redis.pid].filter(isAlive)).toEqual([]);
    const after = await start().ready();
    expect([after.postgres.url, after.redis.url]).toEqual([before.postgres.url, before.redis.url]);
    expect(await query(after.postgres.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  it('end when the app is killed with -9', async () => {
    const app = start();
    const { postgres, redis } = await app.ready();
    const watchdog = watchdogPid();
    await app.kill();
    await eventually(() => ![postgres.pid, redis.pid, watchdog].some(isAlive), 5_000);
  });

  it.each(['postgres', 'redis'] as const)('bring %s back on its port when it is killed with -9', async (name) => {
    const app = start();
    const before = await app.ready();
    // A query that never waits does not notice the death of its postmaster, and must not hold up the return.
    const busy = query(before.postgres.url, 'SELECT count(*) FROM generate_series(1, 1e12)').catch(String);
    const seesIt = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%1e12%' AND pid <> pg_backend_pid()";
    await eventually(async () => (await query(before.postgres.url, seesIt)).length === 1);
    process.kill(before[name].pid, 'SIGKILL');
    await eventually(async () => ![0, before[name].pid].includes((await app.look())[name].pid));
    expect(await query(before.postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await redisCommand(before.redis.url, 'PING')).toBe('PONG');
    await app.stop();
    expect(await busy).toMatch(/terminat|shutting down/i);
  });

  it('give a server up that ends five times within a minute, and say so', async () => {
    const app = start({ postgres: false });
    let { pid } = (await app.ready()).redis;
    for (let crash = 1; crash <= 5; crash++) {
      process.kill(pid, 'SIGKILL');
      if (crash === 5) break;
      await eventually(async () => ![0, pid].includes((await app.look()).redis.pid));
      ({ pid } = (await app.look()).redis);
    }
    await eventually(() => app.log.some((line) => line.includes('redis ended 5 times within 60 s and is NOT started')));
  });

  it('are supervised again, on their ports, when the watchdog is killed with -9 under a living app', async () => {
    const app = start();
    const before = await app.ready();
    await query(before.postgres.url, 'CREATE TABLE outlives AS SELECT 7 AS answer');
    const watchdog = watchdogPid();
    process.kill(watchdog, 'SIGKILL');
    for (const name of ['postgres', 'redis'] as const) {
      await eventually(async () => ![0, before[name].pid].includes((await app.look())[name].pid));
    }
    expect(watchdogPid()).not.toBe(watchdog);
    expect(await query(before.postgres.url, 'SELECT answer FROM outlives')).toEqual([{ answer: 7 }]);
    const after = await app.look();
    await app.stop();
    const pids = [before, after].flatMap(({ postgres, redis }) => [postgres.pid, redis.pid]);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it('are replaced, with their data, when watchdog and app were both killed with -9', async () => {
    const first = start();
    const before = await first.ready();
    await query(before.postgres.url, 'CREATE TABLE orphaned AS SELECT 8 AS answer');
    const watchdog = watchdogPid();
    spawnSync('kill', ['-STOP', String(watchdog)]);
    await first.kill();
    process.kill(watchdog, 'SIGKILL');
    await eventually(() => !isAlive(watchdog));
    expect([before.postgres.pid, before.redis.pid].every(isAlive)).toBe(true);
    const after = await start().ready();
    expect([before.postgres.pid, before.redis.pid].filter(isAlive)).toEqual([]);
    expect(await query(after.postgres.url, 'SELECT answer FROM orphaned')).toEqual([{ answer: 8 }]);
  });

  it('start over a stale postmaster.pid whose pid belongs to another process now, and spare that process', async () => {
    const options = { redis: false };
    await start(options)
      .ready()
      .then(() => apps[0]?.stop());
    const bystander = spawn('sleep', ['600'], isRoot ? nobody : {});
    try {
      writeFileSync(
        join(home, 'postgres/data/postmaster.pid'),
        `${bystander.pid}\n${home}/postgres/data\n1\n5432\n\n127.0.0.1\n`,
      );
      const { postgres } = await start(options).ready();
      expect(await query(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect(isAlive(bystander.pid ?? 0)).toBe(true);
    } finally {
      bystander.kill('SIGKILL');
    }
  });

  it('start empty, with the former data kept aside, when the password is lost', async () => {
    const dataDir = folderWithCache('lost-password');
    const first = start({ dataDir, redis: false, durable: false });
    await query((await first.ready()).postgres.url, 'CREATE TABLE former ()');
    await first.stop();
    rmSync(join(dataDir, 'postgres.password'));
    const app = start({ dataDir, redis: false, durable: false });
    const { postgres } = await app.ready();
    await expect(query(postgres.url, 'SELECT FROM former')).rejects.toThrow('does not exist');
    const [, aside = ''] = /former data folder is now (\S+)/.exec(app.log.join('\n')) ?? [];
    expect(readFileSync(join(aside, 'PG_VERSION'), 'utf8')).toBe('18\n');
    await app.stop();
  });

  it('keep each log, and one predecessor, within 8 MiB', async () => {
    await start({ postgres: false }).ready();
    const log = join(home, 'logs/redis.log');
    appendFileSync(log, Buffer.alloc(9 * 1024 * 1024, 'x'));
    await eventually(() => statSync(log).size < 1024 * 1024);
    expect(statSync(`${log}.1`).size).toBeGreaterThan(9 * 1024 * 1024);
  });

  it('run when npm left the library links out, in a folder that cannot be written', async () => {
    const bare = compileEmbedded({ linksMissing: true });
    const dataDir = join(root, 'bare');
    mkdirSync(dataDir);
    if (isRoot) chownSync(dataDir, nobody.uid, nobody.gid);
    const racers = [1, 2].map(() => start({ dataDir, redis: false }, { ...(isRoot ? nobody : {}), compiled: bare }));
    const [first, second] = await Promise.all(racers.map((app) => app.ready()));
    expect(first?.postgres.pid).toBe(second?.postgres.pid);
    expect(racers.flatMap((app) => app.log).join('\n')).toContain('Copying the Postgres binaries');
    await Promise.all(racers.map((app) => app.stop()));
    rmSync(dirname(bare), { recursive: true });
  }, 120_000);

  it('are one set for all who start at the same time, and end with the last of them', async () => {
    const racers = [1, 2, 3, 4].map(() => start());
    const seen = await Promise.all(racers.map((app) => app.ready()));
    const [first] = seen;
    if (!first) throw new Error('nobody started');
    expect(new Set(seen.map(({ postgres, redis }) => `${postgres.pid} ${redis.pid}`)).size).toBe(1);
    for (const app of racers.slice(1)) await app.stop();
    expect(await query(first.postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect([first.postgres.pid, first.redis.pid].every(isAlive)).toBe(true);
    await racers[0]?.stop();
    expect([first.postgres.pid, first.redis.pid].filter(isAlive)).toEqual([]);
  });

  it('serve an app that starts while they are stopping', async () => {
    const leaver = start();
    const before = await leaver.ready();
    const record = readdirSync(home).find((name) => /^watchdog\.\d+\.json$/.test(name)) ?? '';
    const { port } = JSON.parse(readFileSync(join(home, record), 'utf8')) as { port: number };
    // Postgres cannot end before the second app is there.
    process.kill(before.postgres.pid, 'SIGSTOP');
    const stopped = leaver.stop();
    await eventually(() => !isAlive(before.redis.pid));
    const successor = start();
    await eventually(() => connectionsTo(port) === 2);
    process.kill(before.postgres.pid, 'SIGCONT');
    const [, after] = await Promise.all([stopped, successor.ready()]);
    expect(await query(after.postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await redisCommand(before.redis.url, 'PING')).toBe('PONG');
  });

  it('are no child of the app, so that what kills its process tree leaves them to end in order', async () => {
    const app = start();
    await app.ready();
    const status = readFileSync(`/proc/${watchdogPid()}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    const [, parent, , session] = status;
    expect(Number(parent)).not.toBe(app.pid);
    expect(Number(session)).not.toBe(Number(readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ')[3]));
  });

  it('may trade durability for speed, but not under an app that asked for it', async () => {
    const { postgres } = await start({ redis: false, durable: false }).ready();
    expect(await query(postgres.url, 'SHOW fsync')).toEqual([{ fsync: 'off' }]);
    expect(await query(postgres.url, 'SHOW synchronous_commit')).toEqual([{ synchronous_commit: 'on' }]);
    expect(await start({ redis: false }).failure()).toContain('runs without fsync');
  });

  it('say what is missing, and what to do, when no Redis can be had', async () => {
    const dataDir = join(root, 'no-redis');
    mkdirSync(dataDir);
    const message = await start({ dataDir, postgres: false }, { env: { PATH: '/nonexistent' } }).failure();
    expect(message).toMatch(
      /redis-server was not found on the PATH; valkey-server was not found on the PATH; apt-get: .*ENOENT/,
    );
    expect(message).toContain('apt-get install redis-server');
    expect(message).toContain('REDIS_SERVER_BIN');
  });

  it('refuse a named redis-server that is none', async () => {
    const message = await start({ postgres: false, redisServerBin: '/bin/true' }).failure();
    expect(message).toContain('REDIS_SERVER_BIN: /bin/true');
  });

  (isRoot ? it : it.skip)(
    'run for an ordinary user as for root',
    async () => {
      const dataDir = folderWithCache('ordinary');
      chownSync(dataDir, nobody.uid, nobody.gid);
      const first = start({ dataDir }, nobody);
      const before = await first.ready();
      const pids = [before.postgres.pid, before.redis.pid, watchdogPid(dataDir)];
      expect(pids.map((pid) => statSync(`/proc/${pid}`).uid)).toEqual(pids.map(() => nobody.uid));
      await query(before.postgres.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
      process.kill(before.postgres.pid, 'SIGKILL');
      await eventually(async () => ![0, before.postgres.pid].includes((await first.look()).postgres.pid));
      expect(await redisCommand(before.redis.url, 'PING')).toBe('PONG');
      const { postgres, redis } = await first.look();
      await first.kill();
      await eventually(() => ![postgres.pid, redis.pid].some(isAlive));
      const second = start({ dataDir }, nobody);
      const after = await second.ready();
      expect(after.postgres.url).toBe(before.postgres.url);
      expect(await query(after.postgres.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
      await second.stop();
      expect([after.postgres.pid, after.redis.pid].filter(isAlive)).toEqual([]);
      expect(await start({ dataDir }).failure()).toContain(`belongs to the user with uid ${nobody.uid}`);
    },
    120_000,
  );

  const users: [string, AppSettings][] = [['whoever runs this', {}]];
  if (isRoot) users.push(['nobody', nobody], ['another ordinary user', daemon]);
  it.each(users)(
    'carry the whole application for %s',
    async (name, { uid, gid }) => {
      const dataDir = folderWithCache(`whole ${name}`.replaceAll(' ', '-'));
      if (uid !== undefined) chownSync(dataDir, uid, gid ?? uid);
      const environment = { NODE_ENV: 'development', DATA_DIR: dataDir };
      const gate = await GateProcess.start(environment, undefined, { uid, gid });
      try {
        expect((await call(gate, '/health/ready')).body).toMatchObject({ status: 'ok', postgres: 'up', redis: 'up' });
        const patient = await call(gate, '/patients/pat_demo0001', { token: await tokenFor(gate) });
        expect([patient.status, patient.body.firstName]).toEqual([200, 'Ada']);
      } finally {
        expect(await gate.end()).toBe(0);
      }
      if (uid === undefined) return;
      // The cache was copied there before.
      const made = readdirSync(dataDir).filter((path) => path !== 'cache');
      expect(made.map((path) => [path, statSync(join(dataDir, path)).uid])).toEqual(made.map((path) => [path, uid]));
    },
    120_000,
  );

  (isRoot ? it : it.skip)('run from a folder that only root can enter', async () => {
    const closed = folderWithCache('closed');
    chmodSync(closed, 0o700);
    const app = start({ dataDir: join(closed, 'data'), redis: false });
    const { postgres } = await app.ready();
    const [row] = await query(postgres.url, "SELECT current_setting('data_directory') AS folder");
    const folder = dirname(dirname(String(row?.folder)));
    expect(folder).toMatch(/^\/var\/tmp\/gatehouse_/);
    expect(app.log.join('\n')).toContain(folder);
    await app.stop();
    rmSync(folder, { recursive: true });
  });
});
