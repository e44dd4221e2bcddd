import type { Client } from 'pg';

const workspace = { id: 'T0DEMO', name: 'Harbor Street', domain: 'harbor-street.example' };
const people = [
  ['U0DEMOADA', 'ada', 'Ada Lovelace', null, true],
  ['U0DEMOMILES', 'miles', 'Miles O’Brien', null, false],
  ['U0DEMOBOT', 'standup', 'Standup', 'app_standup', false],
] as const;
const channels = [
  ['C0DEMOGENERAL', 'general', true],
  ['C0DEMORANDOM', 'random', false],
] as const;

/** The message that the examples of the documentation name. */
const message = { channel: 'C0DEMOGENERAL', ts: '1732497302000100', user: 'U0DEMOBOT', app: 'app_standup' };

/** Puts a workspace with two channels, two people, the bot of an app and a message into a development database; repeatable. */
export async function seedMessaging(client: Client): Promise<void> {
  await client.query('BEGIN');
  await client.query(`SELECT set_config('gatehouse.tenant', signed_tenant($1), true)`, [workspace.id]);
  await client.query('INSERT INTO workspaces (id, name, domain) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
    workspace.id,
    workspace.name,
    workspace.domain,
  ]);
  for (const [id, name, realName, appId, isAdmin] of people) {
    await client.query(
      `INSERT INTO workspace_users (workspace_id, id, name, real_name, app_id, is_admin) VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT DO NOTHING`,
      [workspace.id, id, name, realName, appId, isAdmin],
    );
  }
  for (const [id, name, isGeneral] of channels) {
    await client.query(
      `INSERT INTO channels (workspace_id, id, name, is_general, creator) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
      [workspace.id, id, name, isGeneral, people[0][0]],
    );
    await client.query(
      `WITH joined AS (
         INSERT INTO channel_members (workspace_id, channel_id, user_id) SELECT $1, $2, id FROM workspace_users
         WHERE workspace_id = $1 ON CONFLICT DO NOTHING RETURNING 1
       )
       UPDATE channels SET num_members = num_members + (SELECT count(*) FROM joined) WHERE workspace_id = $1 AND id = $2`,
      [workspace.id, id],
    );
  }
  await client.query(
    `UPDATE channels SET last_ts = greatest(last_ts, $3::bigint) WHERE workspace_id = $1 AND id = $2`,
    [workspace.id, message.channel, message.ts],
  );
  await client.query(
    `INSERT INTO messages (workspace_id, channel_id, ts, user_id, app_id, text) VALUES ($1, $2, $3, $4, $5, 'Good morning')
     ON CONFLICT DO NOTHING`,
    [workspace.id, message.channel, message.ts, message.user, message.app],
  );
  await client.query('COMMIT');
}
