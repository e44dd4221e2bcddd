import { readFile } from 'node:fs/promises';
import { WatchdogClient } from './client';
import { superuser } from './postgres';
import type { RunningServer } from './protocol';

export interface EmbeddedOptions {
  /** The one folder that everything lives in; made if it is not there. Apps that name the same folder share the servers. */
  dataDir: string;
  postgres: boolean;
  redis: boolean;
  /** False only for tests: Postgres then answers before its data is on the disk (`fsync = off`). Default true. */
  durable?: boolean;
  /** A redis-server (or valkey-server) to run instead of one that is looked for. */
  redisServerBin?: string;
  /** Is told, line by line, what happens to the servers. */
  log?: (line: string) => void;
  /** Called when the servers are asked for: now there is time for what would block this process. */
  meanwhile?: () => void;
}

export interface EmbeddedServers {
  postgres?: {
    host: string;
    /** The same for as long as the app runs, also when the server had to be brought back. */
    port: number;
    superuser: string;
    password: string;
    /** Of the process that runs now: another one after a crash, 0 while it is away. */
    readonly pid: number;
    urlFor(user: string, password: string, database: string): string;
  };
  redis?: { url: string; readonly pid: number };
  /** Gives the servers up. They end with their last user; then this resolves once they are stopped. May be repeated. */
  stop(): Promise<void>;
}

const host = '127.0.0.1';

/**
 * Starts Postgres and Redis on free loopback ports, or joins those that another app runs on the same folder. A
 * watchdog process owns them: it brings back a server that dies, and ends both when the last app is gone, however it
 * went (kill -9 included). Throws an Error whose message names the cause and the remedy.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServers> {
  const { dataDir, postgres, redis, durable = true, redisServerBin } = options;
  const { log = () => undefined, meanwhile = () => undefined } = options;
  if (!postgres && !redis) return { stop: () => Promise.resolve() };
  const client = await WatchdogClient.join(dataDir, { postgres, redis, durable, redisServerBin }, log, meanwhile);
  const servers: EmbeddedServers = { stop: () => client.leave() };
  const { state } = client;
  if (postgres && state.postgres) {
    const { port } = state.postgres;
    servers.postgres = {
      host,
      port,
      superuser,
      password: await passwordOf(state.postgres),
      get pid() {
        return client.state.postgres?.pid ?? 0;
      },
      urlFor: (user, password, database) =>
        `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/${encodeURIComponent(database)}`,
    };
  }
  if (redis && state.redis) {
    servers.redis = {
      url: `redis://:${await passwordOf(state.redis)}@${host}:${state.redis.port}`,
      get pid() {
        return client.state.redis?.pid ?? 0;
      },
    };
  }
  return servers;
}

async function passwordOf(server: RunningServer): Promise<string> {
  return (await readFile(server.passwordFile, 'utf8')).trim();
}
