import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { PgBouncer } from '../../../test/support/pgbouncer';
import { until } from '../../../test/support/until';
import { World } from '../../../test/support/world';
import { freshContext } from '../context';
import { Connections } from './connections';
import { StatementCancelled } from './database.errors';
import { statement } from './statement';
import { Transaction } from './transaction';

const sleepLong = statement('test.sleep-long', 'SELECT pg_sleep(600)');
const one = statement<{ one: number }>('test.one', 'SELECT 1 AS one');

/** What ends when it is called. */
type End = () => Promise<void>;

describe('the cancellation of a statement', () => {
  let world: World;
  let end: End | undefined;

  beforeAll(async () => {
    world = await World.create();
  });
  afterEach(async () => {
    await end?.();
    end = undefined;
  });
  afterAll(() => world.end());

  const sleeping = () =>
    world.sql(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep(600)'`,
    );

  /** Cancels a statement that would run for long, and sees that it ends and that the next one finds a connection. */
  async function cancels(url: string, preparedStatements: boolean): Promise<void> {
    const broken: Error[] = [];
    const connections = new Connections({
      url,
      shares: { total: 1, reservedForCritical: 0, mostForBulk: 1 },
      applicationName: 'test',
      statementTimeoutMs: 600_000,
      preparedStatements,
      onBroken: (error) => broken.push(error),
    });
    const context = freshContext({ correlationId: 'c', requestId: 'r', traceparent: undefined });
    const options = { tenant: undefined, workClass: 'standard', context } as const;
    const outcome = Transaction.run(connections, options, (sql) => sql.query(sleepLong)).catch((e: unknown) => e);
    await until(async () => (await sleeping()).length === 1);
    context.cancelStatement?.();
    await until(
      async () => (await sleeping()).length === 0,
      10_000,
      () => `still runs; ${broken.join()}`,
    );
    expect(await outcome).toBeInstanceOf(StatementCancelled);
    const next = { tenant: undefined, workClass: 'standard' } as const;
    expect(await Transaction.run(connections, next, (sql) => sql.query(one))).toEqual([{ one: 1 }]);
    await connections.close();
    expect(broken).toEqual([]);
  }

  it('ends it at the server', async () => {
    await cancels(world.environment.DATABASE_URL ?? '', true);
  });

  it('ends it behind a pooler that has but one connection, and which tells process ids of its own', async () => {
    const bouncer = await PgBouncer.start(world.environment.DATABASE_URL ?? '', 1);
    if (typeof bouncer === 'string') {
      process.stderr.write(`SKIPPED: there is no PgBouncer here: ${bouncer}\n`);
      return;
    }
    end = () => bouncer.end();
    await cancels(bouncer.url, bouncer.tracksStatements);
  });

  it('ends it where connections are encrypted', async () => {
    const front = await encrypted(world.environment.DATABASE_URL ?? '').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    });
    if (!front) {
      process.stderr.write('SKIPPED: there is no openssl here to make a certificate\n');
      return;
    }
    end = front.end;
    await cancels(front.url, true);
    // That of the statement, that of the cancellation, and that of the next statement.
    expect(front.connections()).toBe(3);
  });

  it('fails where nobody listens', async () => {
    const settings = { applicationName: 'test', statementTimeoutMs: 1_000, preparedStatements: true };
    const shares = { total: 1, reservedForCritical: 0, mostForBulk: 1 };
    const front = await relay(world.environment.DATABASE_URL ?? '');
    const connections = new Connections({ ...settings, url: front.url, shares, onBroken: () => undefined });
    const client = await connections.take('standard');
    await front.end();
    await expect(connections.cancel(client)).rejects.toThrow(/ECONNREFUSED/);
    connections.give(client, 'standard', true);
    await connections.close();
  });
});

interface Front {
  readonly url: string;
  readonly connections: () => number;
  readonly end: End;
}

/** A TLS front of a Postgres that has none, with a certificate made for the occasion. */
async function encrypted(databaseUrl: string): Promise<Front> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-tls-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
    await promisify(execFile)('openssl', [...made, '-subj', '/CN=localhost', '-keyout', key, '-out', cert]);
    const secureContext = createSecureContext({ key: await readFile(key), cert: await readFile(cert) });
    const front = await relay(databaseUrl, async (socket) => {
      // A client that speaks no TLS gets no further than here.
      await once(socket, 'data');
      socket.write('S');
      return new TLSSocket(socket, { isServer: true, secureContext });
    });
    const url = new URL(front.url);
    url.searchParams.set('sslmode', 'no-verify');
    return { ...front, url: url.href };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Passes on all bytes to a Postgres, behind what `prepare` makes of a client's socket. */
async function relay(
  databaseUrl: string,
  prepare: (socket: Socket) => Socket | Promise<Socket> = (socket) => socket,
): Promise<Front> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let accepted = 0;
  const passOn = async (socket: Socket): Promise<void> => {
    const client = await prepare(socket);
    const upstream = connect(Number(target.port), target.hostname);
    sockets.add(upstream);
    for (const side of [client, upstream]) side.on('error', () => upstream.destroy());
    client.pipe(upstream).pipe(client);
  };
  const server = createServer((socket) => {
    accepted += 1;
    sockets.add(socket);
    passOn(socket).catch(() => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.port = String((server.address() as { port: number }).port);
  const end = async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return { url: url.href, connections: () => accepted, end };
}
