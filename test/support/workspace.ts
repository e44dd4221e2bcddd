import { WebClient, type WebClientOptions } from '@slack/web-api';
import { tokenFor } from './api';
import type { GateProcess } from './process';
import type { World } from './world';

export interface Workspace {
  readonly id: string;
  /** The first is the bot of `app_<name>`; all are members of every channel but the last. */
  readonly users: readonly string[];
  /** Public; the last one has no members. */
  readonly channels: readonly string[];
}

export const everyScope =
  'chat:write channels:read channels:history users:read team:read channels:manage channels:join';

/** A workspace with so many users and channels; ids are predictable, and every text says whose it is. */
export async function seedWorkspace(
  world: World,
  name: string,
  counts: { users: number; channels: number } = { users: 3, channels: 3 },
): Promise<Workspace> {
  const id = `T${name}`;
  await world.sql(`INSERT INTO workspaces (id, name, domain) VALUES ($1, $2 || ' inc.', $2 || '.example')`, [id, name]);
  await world.sql(
    `INSERT INTO workspace_users (workspace_id, id, name, real_name, app_id)
     SELECT $1, format('U%s%s', $2::text, n), $2 || 'user' || n, $2 || ' user ' || n, CASE n WHEN 1 THEN 'app_' || $2 END
     FROM generate_series(1, $3::int) n`,
    [id, name, counts.users],
  );
  await world.sql(
    `INSERT INTO channels (workspace_id, id, name, is_general, creator, num_members)
     SELECT $1, format('C%s%s', $2::text, n), $2 || 'channel' || n, n = 1, format('U%s1', $2::text), CASE WHEN n < $3 THEN $4::int ELSE 0 END
     FROM generate_series(1, $3::int) n`,
    [id, name, counts.channels, counts.users],
  );
  await world.sql(
    `INSERT INTO channel_members (workspace_id, channel_id, user_id)
     SELECT $1, format('C%s%s', $2::text, c), format('U%s%s', $2::text, u)
     FROM generate_series(1, $3::int - 1) c, generate_series(1, $4::int) u`,
    [id, name, counts.channels, counts.users],
  );
  const named = (letter: string, count: number) => Array.from({ length: count }, (_, n) => `${letter}${name}${n + 1}`);
  return { id, users: named('U', counts.users), channels: named('C', counts.channels) };
}

/** The token of an app's bot in a workspace; its plan is without limits unless the claims name another. */
export function botToken(gate: GateProcess, { id, users }: Workspace, claims: Record<string, unknown> = {}) {
  const [bot] = users;
  const own = { sub: bot, client_id: `app_${id.slice(1)}`, workspace_id: id, practice_id: null, role: null };
  return tokenFor(gate, { ...own, scope: everyScope, usage_plan: 'internal', ...claims });
}

/** Slack's own client, pointed at one of our processes, that tries nothing again unless the test says so. */
export function slackClient(gate: GateProcess, token: string, options: WebClientOptions = {}): WebClient {
  const logger = { ...console, setLevel: () => undefined, setName: () => undefined, getLevel: () => 'error' as never };
  const silent = {
    ...logger,
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: () => undefined,
  };
  return new WebClient(token, {
    slackApiUrl: `${gate.url}/api/`,
    retryConfig: { retries: 0 },
    logger: silent,
    ...options,
  });
}
