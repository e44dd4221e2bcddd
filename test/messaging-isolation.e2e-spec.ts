import { Test } from '@nestjs/testing';
import { AppModule } from '../src/app.module';
import { ownWorkspace } from '../src/domains/messaging/own-workspace';
import { Config } from '../src/platform/config';
import { type Role, roles } from '../src/policy/auth/caller';
import { type RoutePolicies, Routes } from '../src/policy/routes';
import { call } from './support/api';
import type { GateProcess } from './support/process';
import { botToken, seedWorkspace, type Workspace } from './support/workspace';
import { World } from './support/world';

/** What a method says when it is asked about something of another workspace; `own` where it cannot be asked. */
interface Case {
  readonly arguments: (workspace: 'ours' | 'theirs') => Record<string, string>;
  readonly foreign: 'channel_not_found' | 'user_not_found' | 'own';
}

const ts = '1700000000.000001';
const channel = (more: Record<string, string> = {}, number = 1): Case => ({
  arguments: (workspace) => ({ channel: `C${workspace}${number}`, ...more }),
  foreign: 'channel_not_found',
});
const own = (given: Record<string, string> = {}): Case => ({ arguments: () => given, foreign: 'own' });

/** Every method of a workspace. A new one fails until it stands here. */
const cases: Readonly<Record<string, Case>> = {
  'auth.test': own(),
  'chat.delete': channel({ ts: '1700000000.000002' }),
  'chat.postMessage': channel({ text: 'said' }),
  'chat.update': channel({ ts, text: 'changed' }),
  'conversations.create': own({ name: 'made-by-ours' }),
  'conversations.history': channel(),
  'conversations.join': channel({}, 3),
  'conversations.list': own({ types: 'public_channel,private_channel' }),
  'conversations.members': channel(),
  'conversations.replies': channel({ ts }),
  'team.info': own(),
  'users.info': { arguments: (workspace) => ({ user: `U${workspace}1` }), foreign: 'user_not_found' },
  'users.list': own(),
};

const tables = ['workspaces', 'workspace_users', 'channels', 'channel_members', 'messages'];

describe('every method of a workspace, about what is its own and what is another’s', () => {
  let world: World;
  let gate: GateProcess;
  let ours: Workspace;
  let routes: readonly RoutePolicies[];
  let close: () => Promise<void>;
  let made = 0;
  /** Callers of a practice, by role. */
  const strangers = new Map<Role, string>();

  beforeAll(async () => {
    world = await World.create();
    ours = await seedWorkspace(world, 'ours');
    await seedWorkspace(world, 'theirs');
    for (const name of ['ours', 'theirs']) {
      await world.sql(
        `INSERT INTO messages (workspace_id, channel_id, ts, user_id, app_id, text)
         SELECT 'T' || $1, 'C' || $1 || '1', 1700000000000000 + n, 'U' || $1 || '1', 'app_both', $1 || ' said'
         FROM generate_series(1, 2) n`,
        [name],
      );
    }
    const config = Config.from({ ...world.environment, NODE_ENV: 'test', LOG_LEVEL: 'silent' });
    const module = await Test.createTestingModule({ imports: [await AppModule.register(config)] }).compile();
    routes = module
      .get(Routes)
      .all()
      .filter(({ tenant }) => tenant === 'workspace');
    close = () => module.close();
    gate = await world.start({ GATEHOUSE_ROLE: 'api', REDIS_DEADLINE_MS: '10000' });
    const claims = { workspace_id: undefined, practice_id: 'practice_p001', client_id: 'app_both' };
    for (const role of roles) strangers.set(role, await botToken(gate, ours, { ...claims, role }));
  });
  afterAll(async () => {
    await close();
    await world.end();
  });

  const digest = () =>
    world.sql(
      tables
        .map(
          (table) => `SELECT '${table}' AS name, md5(string_agg(t::text, ',' ORDER BY t::text)) AS sum FROM ${table} t`,
        )
        .join(' UNION ALL '),
    );
  const routesOf = (method: string) => routes.filter(({ path }) => path === `/api/${method}`);
  const caseOf = (method: string): Case => {
    const found = cases[method];
    if (!found) throw new Error(`Nobody said how ${method} is called`);
    return found;
  };
  const ask = async (route: RoutePolicies, given: Record<string, string>, token: string | undefined) => {
    const isGet = route.method === 'GET';
    const search = isGet ? `?${new URLSearchParams(given).toString()}` : '';
    return call(gate, `${route.path}${search}`, { method: route.method, token, ...(!isGet && { body: given }) });
  };
  const bot = (claims: Record<string, unknown> = {}) => botToken(gate, ours, { client_id: 'app_both', ...claims });

  /** Through the app that posted the messages, where only that one changes them; else a fresh one, whose windows are empty. */
  const tokenOf = (method: string) => bot(method.startsWith('chat.') ? {} : { client_id: `app_${(made += 1)}` });

  it('none is missing: the table says of every method how it is called', () => {
    const methods = new Set(routes.map(({ path }) => path.slice('/api/'.length)));
    expect([...methods].sort()).toEqual(Object.keys(cases).sort());
  });

  describe.each(Object.keys(cases))('%s', (method) => {
    it('refuses who has no token, none of a workspace, or not the scope, and does nothing', async () => {
      const before = await digest();
      for (const route of routesOf(method)) {
        const given = caseOf(method).arguments('ours');
        expect((await ask(route, given, undefined)).body).toEqual({ ok: false, error: 'not_authed' });
        for (const [role, token] of strangers)
          expect([role, (await ask(route, given, token)).body]).toEqual([role, { ok: false, error: 'invalid_auth' }]);
        if (!route.scopes) continue;
        const { body } = await ask(route, given, await bot({ scope: 'accounts:read' }));
        expect(body).toEqual({
          ok: false,
          error: 'missing_scope',
          needed: route.scopes.join(),
          provided: 'accounts:read',
        });
      }
      expect(await digest()).toEqual(before);
    });

    it('refuses whoever was deactivated, though a member of the channel, and does nothing', async () => {
      await world.sql(`UPDATE workspace_users SET deleted = true WHERE workspace_id = 'Tours' AND id = 'Uours1'`);
      const before = await digest();
      for (const route of routesOf(method)) {
        const { body } = await ask(route, caseOf(method).arguments('ours'), await tokenOf(method));
        expect(body).toEqual({ ok: false, error: 'account_inactive' });
      }
      expect(await digest()).toEqual(before);
      await world.sql(`UPDATE workspace_users SET deleted = false WHERE workspace_id = 'Tours' AND id = 'Uours1'`);
    });

    it('serves a workspace what is its own', async () => {
      for (const route of routesOf(method)) {
        const { body } = await ask(route, caseOf(method).arguments('ours'), await tokenOf(method));
        expect(body).toMatchObject({ ok: true });
      }
    });

    it('gives a workspace nothing of another one', async () => {
      const { foreign, arguments: given } = caseOf(method);
      const before = await digest();
      for (const route of routesOf(method)) {
        const { status, body, text } = await ask(route, given('theirs'), await tokenOf(method));
        if (foreign === 'own') expect([status, text]).toEqual([200, expect.not.stringContaining('theirs')]);
        else expect([status, body]).toEqual([200, { ok: false, error: foreign }]);
      }
      if (foreign !== 'own') expect(await digest()).toEqual(before);
    });
  });

  it('row-level security shows a workspace its own rows alone, of every table, and nobody any', async () => {
    const client = await world.runtimeClient();
    try {
      for (const table of tables) {
        const key = table === 'workspaces' ? 'id' : 'workspace_id';
        await client.query(`BEGIN; SET LOCAL gatehouse.tenant = '${await world.signed('Tours')}'`);
        const { rows } = await client.query<{ key: string }>(`SELECT DISTINCT ${key} AS key FROM ${table}`);
        await client.query('COMMIT');
        expect([table, rows]).toEqual([table, [{ key: 'Tours' }]]);
        expect((await client.query(`SELECT FROM ${table}`)).rowCount).toBe(0);
      }
      await client.query(`BEGIN; SET LOCAL gatehouse.tenant = '${await world.signed('Tours')}'`);
      const planted = client.query(
        `INSERT INTO messages (workspace_id, channel_id, ts, user_id, app_id, text) VALUES ('Ttheirs', 'Ctheirs1', 5, 'Uours1', 'a', 'x')`,
      );
      await expect(planted).rejects.toThrow(/row-level security/);
    } finally {
      await client.end();
    }
  });

  it('the service passes on nothing of another workspace, should the query and the database let it through', () => {
    const rows = [{ workspace_id: 'Tours' }, { workspace_id: 'Ttheirs' }];
    expect(() => ownWorkspace('Tours', rows)).toThrow(/another workspace/);
    expect(ownWorkspace('Tours', rows.slice(0, 1))).toHaveLength(1);
  });
});
