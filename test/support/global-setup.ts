import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { built } from './built';
import { builtDir, databasePrefix, groundFile, root, runDir, templateDatabase, testDir } from './places';

/** Builds the application, starts one Postgres for all tests, and migrates the database that every world is copied from. */
export default async function globalSetup(): Promise<void> {
  await removeEarlierRuns();
  await mkdir(runDir, { recursive: true });
  // A process of its own: Jest turns import() into require(), and the script awaits at its top level.
  await promisify(execFile)(process.execPath, [join(root, 'scripts/build.mjs'), builtDir]);
  const servers = await built('platform/embedded').startEmbedded({
    dataDir: testDir,
    postgres: true,
    redis: true, // fetches the binary once; each world starts a Redis of its own from it
    durable: false,
  });
  const { postgres } = servers;
  if (!postgres) throw new Error('The embedded Postgres did not start');
  (globalThis as { testServers?: { stop(): Promise<void> } }).testServers = servers;

  const superuserUrl = postgres.urlFor(postgres.superuser, postgres.password, 'postgres');
  const client = new Client({ connectionString: superuserUrl });
  await client.connect();
  const { rows } = await client.query<{ datname: string }>('SELECT datname FROM pg_database WHERE datname LIKE $1', [
    `${databasePrefix.replaceAll('_', '\\_')}%`,
  ]);
  for (const { datname } of rows) {
    if (!isRunning(datname.slice(databasePrefix.length))) await client.query(`DROP DATABASE "${datname}" WITH (FORCE)`);
  }
  await client.end();

  const login = (name: string) => ({ name, password: passwordOf(postgres.password, name) });
  const logins = { owner: login('gatehouse_owner'), app: login('gatehouse_api'), system: login('gatehouse_relay') };
  const { bootstrap, migrate } = built('platform/database/ground');
  await bootstrap(superuserUrl, templateDatabase, logins);
  await migrate(postgres.urlFor(logins.owner.name, logins.owner.password, templateDatabase));
  await writeFile(groundFile, JSON.stringify({ superuserUrl, password: postgres.password, port: postgres.port }), {
    mode: 0o600,
  });
}

function passwordOf(secret: string, name: string): string {
  return createHmac('sha256', secret).update(name).digest('hex');
}

/** What a run that was killed left behind. */
async function removeEarlierRuns(): Promise<void> {
  await mkdir(testDir, { recursive: true });
  for (const name of await readdir(testDir)) {
    if (name.startsWith('run-') && !isRunning(name.slice('run-'.length))) {
      await rm(join(testDir, name), { recursive: true, force: true });
    }
  }
}

/** Whether the run of that id (it begins with a process id) still goes on. */
function isRunning(id: string): boolean {
  const pid = Number.parseInt(id, 10);
  if (pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // no such process
  }
}
