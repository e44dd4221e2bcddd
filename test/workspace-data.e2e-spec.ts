import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram, startProgram } from './support/program';
import { until } from './support/until';
import { botToken, seedWorkspace, slackClient, type Workspace } from './support/workspace';
import { World } from './support/world';

interface Line {
  readonly table: string;
  readonly row: Readonly<Record<string, unknown>>;
}

/** The column that tells a row's workspace. */
const tenantColumns: Readonly<Record<string, string>> = {
  audit_entries: 'practice_id',
  channel_members: 'workspace_id',
  channels: 'workspace_id',
  messages: 'workspace_id',
  workspace_users: 'workspace_id',
  workspaces: 'id',
};

/** Each test starts programs, some several. */
jest.setTimeout(120_000);

describe('the data of a workspace', () => {
  let world: World;
  let folder: string;
  let ours: Workspace;
  let theirs: Workspace;

  /** Rows by table, of one workspace, read past every policy. */
  const countsOf = async (workspaceId: string): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const [table, column] of Object.entries(tenantColumns)) {
      const text = `SELECT count(*)::int AS n FROM ${table} WHERE ${column} = $1`;
      counts[table] = (await world.sql<{ n: number }>(text, [workspaceId]))[0]?.n ?? -1;
    }
    return counts;
  };
  const exportTo = (file: string, ...args: string[]) => runProgram(world, 'tenant-export', [...args, '--out', file]);
  const asOwner = () => ({ DATABASE_ADMIN_URL: world.ownerUrl });
  const erase = (...args: string[]) => runProgram(world, 'tenant-erase', args, asOwner());

  beforeAll(async () => {
    world = await World.create();
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-export-'));
    ours = await seedWorkspace(world, 'ours');
    theirs = await seedWorkspace(world, 'theirs');
    await world.sql(`INSERT INTO practices (id, name, time_zone) VALUES ('practice_p', 'P', 'UTC')`);
    // What clients leave behind, of both workspaces: messages and a thread.
    const gate = await world.start({ GATEHOUSE_ROLE: 'api', REDIS_DEADLINE_MS: '10000' });
    for (const workspace of [ours, theirs]) {
      const slack = slackClient(gate, await botToken(gate, workspace));
      const [channel = ''] = workspace.channels;
      const { ts } = await slack.chat.postMessage({ channel, text: `“${workspace.id}” said\nthis` });
      await slack.chat.postMessage({ channel, text: 'and this', thread_ts: ts });
    }
    await gate.end();
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
    await world.end();
  });

  describe('exported', () => {
    it('is in the file whole, for its owner alone, and nobody else’s is', async () => {
      const file = join(folder, 'ours.ndjson');
      const { code, output } = await exportTo(file, '--workspace', ours.id);
      expect([code, output]).toEqual([0, expect.stringContaining('messages: 2')]);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      expect(await readdir(folder)).toEqual(['ours.ndjson']);
      const text = await readFile(file, 'utf8');
      const lines = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Line);
      const counts: Record<string, number> = {};
      for (const { table, row } of lines) {
        counts[table] = (counts[table] ?? 0) + 1;
        expect(row[tenantColumns[table] ?? '']).toBe(ours.id);
      }
      expect(counts).toEqual(await countsOf(ours.id));
      expect(Object.values(counts).every((count) => count > 0)).toBe(true);
      expect(text).not.toContain('theirs');
      const messages = lines.filter(({ table }) => table === 'messages').map(({ row }) => row);
      const first = messages.find(({ thread_ts }) => thread_ts === null);
      expect(first).toMatchObject({ text: `“${ours.id}” said\nthis`, reply_count: 1 });
      expect(messages.find(({ thread_ts }) => thread_ts === first?.ts)?.text).toBe('and this');
      const order = lines.map(({ table }) => table);
      for (const child of ['workspace_users', 'channels', 'channel_members', 'messages']) {
        expect(order.indexOf('workspaces')).toBeLessThan(order.indexOf(child));
      }
      expect(order.indexOf('channels')).toBeLessThan(order.indexOf('messages'));
    });

    it.each([
      ['of nobody', ['--workspace', 'Tnobody'], 'no workspace Tnobody'],
      ['of a practice that is called a workspace', ['--workspace', 'practice_p'], 'no workspace practice_p'],
      ['of two tenants', ['--workspace', 'Tours', '--practice', 'practice_p'], '--workspace'],
    ])('%s, is an error and leaves no file', async (_, args, said) => {
      const { code, output } = await exportTo(join(folder, 'none.ndjson'), ...args);
      expect([code, output]).toEqual([1, expect.stringContaining(said)]);
      expect((await readdir(folder)).filter((name) => name.startsWith('none'))).toEqual([]);
    });
  });

  describe('erased', () => {
    it('needs its name twice, and its kind', async () => {
      const before = await countsOf(ours.id);
      expect((await erase('--workspace', ours.id)).code).toBe(1);
      expect((await erase('--workspace', ours.id, '--confirm', theirs.id)).code).toBe(1);
      expect((await erase('--practice', ours.id, '--workspace', ours.id, '--confirm', ours.id)).code).toBe(1);
      // It is on record, as one that was erased is: its kind alone is wrong.
      const asPractice = await erase('--practice', ours.id, '--confirm', ours.id);
      expect([asPractice.code, asPractice.output]).toEqual([1, expect.stringContaining('is a workspace')]);
      const { audit_entries: audited = 0, ...data } = before;
      expect(await countsOf(ours.id)).toEqual({ ...data, audit_entries: audited + 2 });
    });

    it('is gone from every table but the audit log, with what was on its way, and the other workspace has all that it had', async () => {
      const before = await countsOf(theirs.id);
      const audited = (await countsOf(ours.id)).audit_entries ?? 0;
      const posting = await world.clientOf('superuser');
      try {
        // A post that is not committed yet.
        await posting.query('BEGIN');
        await posting.query(`UPDATE channels SET last_ts = last_ts + 1 WHERE id = 'Cours2'`);
        await posting.query(
          `INSERT INTO messages (workspace_id, channel_id, ts, user_id, app_id, text) VALUES ('Tours', 'Cours2', 1, 'Uours1', 'a', 'late')`,
        );
        const erasing = startProgram(world, 'tenant-erase', ['--workspace', ours.id, '--confirm', ours.id], asOwner());
        await until(
          async () =>
            (
              await world.sql(
                `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatehouse-tenant-erase' AND wait_event_type = 'Lock'`,
              )
            ).length > 0,
        );
        await posting.query('COMMIT');
        const { code, output } = await erasing.ended;
        expect([code, output]).toEqual([0, expect.stringContaining('messages: 3 deleted')]);
      } finally {
        await posting.end();
      }
      const { audit_entries: kept, ...data } = await countsOf(ours.id);
      expect(Object.values(data).every((count) => count === 0)).toBe(true);
      expect(kept).toBe(audited + 2);
      const [last] = await world.sql(
        `SELECT action, body -> 'subjects' AS subjects FROM audit_entries WHERE practice_id = $1 ORDER BY seq DESC LIMIT 1`,
        [ours.id],
      );
      expect(last).toEqual({ action: 'tenant.erase', subjects: [ours.id] });
      expect(await countsOf(theirs.id)).toEqual(before);
      expect(before.messages).toBe(2);
    });

    it('again, deletes nothing and succeeds; one that never was is an error', async () => {
      const { code, output } = await erase('--workspace', ours.id, '--confirm', ours.id);
      expect([code, output]).toEqual([0, expect.stringContaining('messages: 0 deleted')]);
      const unknown = await erase('--workspace', 'Tnobody', '--confirm', 'Tnobody');
      expect([unknown.code, unknown.output]).toEqual([1, expect.stringContaining('no workspace Tnobody')]);
    });

    it('leaves an audit log whose chains hold', async () => {
      expect((await runProgram(world, 'audit-verify', ['--without-anchors'])).code).toBe(0);
    });
  });
});
