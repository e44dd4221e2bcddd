import { createHmac, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Pool, type QueryResultRow } from 'pg';
import type { EmbeddedServers } from '../../src/platform/embedded';
import { built } from './built';
import { databasePrefix, groundFile, runDir, runId, templateDatabase, testDir, type TestGround } from './places';
import { GateProcess } from './process';

/** A database, a Redis and processes of a test's own; what one world does, no other sees. */
export class World {
  private readonly processes: GateProcess[] = [];

  private constructor(
    /** The variables that every process of this world gets. */
    readonly environment: Readonly<Record<string, string>>,
    private readonly databaseUrls: { readonly superuser: string; readonly owner: string },
    private readonly superuser: Pool,
    private readonly servers: EmbeddedServers,
    private readonly drop: () => Promise<void>,
  ) {}

  /** With `ownPostgres`, its Postgres is a server of its own, too, so that it can be stopped and killed. */
  static async create(options: { ownPostgres?: boolean } = {}): Promise<World> {
    const worlds = join(runDir, 'worlds');
    await mkdir(worlds, { recursive: true });
    const dataDir = await mkdtemp(join(worlds, 'w-'));
    await symlink(join(testDir, 'cache'), join(dataDir, 'cache'));
    const ownPostgres = options.ownPostgres === true;
    const [servers, shared] = await Promise.all([
      built('platform/embedded').startEmbedded({
        dataDir,
        postgres: ownPostgres,
        redis: true,
        durable: false,
      }),
      ownPostgres ? undefined : copyOfTemplate(),
    ]);
    const { ground, database } = shared ?? (await ownGround(servers.postgres));
    const urlOf = (name: string) => {
      const password = createHmac('sha256', ground.password).update(name).digest('hex');
      return `postgres://${name}:${password}@127.0.0.1:${ground.port}/${database}`;
    };
    const environment = {
      DATA_DIR: dataDir,
      DATABASE_URL: urlOf('gatehouse_api'),
      DATABASE_SYSTEM_URL: urlOf('gatehouse_relay'),
      REDIS_URL: servers.redis?.url ?? '',
      FIREWALL_IP_PER_SECOND: '1000000',
      FIREWALL_IP_BURST: '1000000',
      SHUTDOWN_DRAIN_MS: '50',
    };
    const superuserUrl = new URL(ground.superuserUrl);
    superuserUrl.pathname = database;
    const urls = { superuser: superuserUrl.href, owner: urlOf('gatehouse_owner') };
    // Conditions ask every few milliseconds. A server that a test kills leaves dead connections: there, each is used once.
    const superuser = new Pool({
      connectionString: urls.superuser,
      ...(servers.postgres && { maxUses: 1 }),
    });
    superuser.on('error', (error) => process.stderr.write(`A superuser's idle connection broke: ${error.message}\n`));
    return new World(environment, urls, superuser, servers, async () => {
      const ended = superuser.end();
      await servers.stop();
      if (!servers.postgres) {
        await withClient(ground.superuserUrl, (client) => client.query(`DROP DATABASE ${database} WITH (FORCE)`));
      }
      await ended;
      await rm(dataDir, { recursive: true, force: true });
    });
  }

  get redisUrl(): string {
    return this.environment.REDIS_URL ?? '';
  }

  /** For a test that needs a session of its own as the superuser. */
  get superuserUrl(): string {
    return this.databaseUrls.superuser;
  }

  get redisPid(): number {
    return running(this.servers.redis?.pid, 'Redis');
  }

  get postgresPid(): number {
    return running(this.servers.postgres?.pid, 'Postgres');
  }

  /** Whether another Redis runs in the place of the one of that process id. */
  redisReplaces(pid: number): boolean {
    return ![undefined, 0, pid].includes(this.servers.redis?.pid);
  }

  /** Starts a process of the application and waits until it is ready. */
  async start(environment: Record<string, string> = {}, dist?: string): Promise<GateProcess> {
    const gate = await GateProcess.start({ ...this.environment, ...environment }, dist);
    this.processes.push(gate);
    return gate;
  }

  /** The database as the owner of its tables, who migrates it. */
  get ownerUrl(): string {
    return this.databaseUrls.owner;
  }

  /** Runs SQL as the superuser, past every policy: for arranging and for looking, never as the code under test. */
  async sql<Row extends QueryResultRow = QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.superuser.query<Row>(text, values)).rows;
  }

  /** What `gatehouse.tenant` must hold for that tenant's rows, as the application would say it. */
  async signed(tenant: string): Promise<string> {
    const [row] = await this.sql<{ signed: string }>('SELECT signed_tenant($1) AS signed', [tenant]);
    return row?.signed ?? '';
  }

  /** A connection as the runtime role, as an attacker inside the application would have. */
  async runtimeClient(): Promise<Client> {
    const client = new Client({ connectionString: this.environment.DATABASE_URL });
    await client.connect();
    return client;
  }

  /** A connection as one of the logins; `superuser` for a session that arranges, such as one that holds a lock. */
  async clientOf(who: 'runtime' | 'system' | 'owner' | 'superuser'): Promise<Client> {
    const urls = {
      runtime: this.environment.DATABASE_URL,
      system: this.environment.DATABASE_SYSTEM_URL,
      owner: this.ownerUrl,
      superuser: this.superuserUrl,
    };
    const client = new Client({ connectionString: urls[who] });
    await client.connect();
    return client;
  }

  /** Ends all processes and servers of this world and removes its data. */
  async end(): Promise<void> {
    await Promise.all(this.processes.map((gate) => gate.end('SIGKILL')));
    await this.drop();
  }
}

interface Place {
  readonly ground: TestGround;
  readonly database: string;
}

/** A signal to process 0 would go to all of the tests. */
function running(pid: number | undefined, name: string): number {
  if (!pid) throw new Error(`${name} is away`);
  return pid;
}

/** A database of its own on the Postgres of the run. */
async function copyOfTemplate(): Promise<Place> {
  const ground = JSON.parse(await readFile(groundFile, 'utf8')) as TestGround;
  const database = `${databasePrefix}${runId}_${randomBytes(6).toString('hex')}`;
  // Copying files costs half of what copying through the log does.
  await withClient(ground.superuserUrl, async (client) => {
    await client.query(
      `CREATE DATABASE ${database} TEMPLATE ${templateDatabase} STRATEGY FILE_COPY OWNER gatehouse_owner`,
    );
    // What is granted on a database is not copied.
    await client.query(
      `REVOKE ALL ON DATABASE ${database} FROM PUBLIC; GRANT CONNECT ON DATABASE ${database} TO gatehouse_app, gatehouse_system`,
    );
  });
  return { ground, database };
}

async function ownGround(postgres: EmbeddedServers['postgres']): Promise<Place> {
  if (!postgres) throw new Error('The embedded Postgres did not start');
  const { bootstrap, migrate } = built('platform/database/ground');
  const superuserUrl = postgres.urlFor(postgres.superuser, postgres.password, 'postgres');
  const login = (name: string) => ({
    name,
    password: createHmac('sha256', postgres.password).update(name).digest('hex'),
  });
  const logins = { owner: login('gatehouse_owner'), app: login('gatehouse_api'), system: login('gatehouse_relay') };
  await bootstrap(superuserUrl, templateDatabase, logins);
  await migrate(postgres.urlFor(logins.owner.name, logins.owner.password, templateDatabase));
  const ground = { superuserUrl, password: postgres.password, port: postgres.port };
  return { ground, database: templateDatabase };
}

async function withClient<Result>(url: string, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
