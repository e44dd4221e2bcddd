import { randomUUID } from 'node:crypto';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { call, tokenFor } from './support/api';
import { root, runDir } from './support/places';
import { until } from './support/until';
import { World } from './support/world';

/** The folder in which a recipe is followed; inside the checkout, so that its packages are found. */
const place = join(runDir, 'readme');

/** Copies what a recipe changes to the place. */
async function copyCheckout(folders: readonly string[], filter: (path: string) => boolean = () => true): Promise<void> {
  await rm(place, { recursive: true, force: true });
  for (const folder of folders) await cp(join(root, folder), join(place, folder), { recursive: true, filter });
  for (const file of ['package.json', '.swcrc', 'tsconfig.json']) await cp(join(root, file), join(place, file));
}

/** Makes the files that a recipe shows in full, each under its name. */
async function makeFiles(recipe: string): Promise<string[]> {
  const made: string[] = [];
  for (const [, path = '', code = ''] of recipe.matchAll(/`([\w./-]+\.ts)`[^`]*\n\n```ts\n(.*?)```/gs)) {
    await mkdir(dirname(join(place, path)), { recursive: true });
    await writeFile(join(place, path), code);
    made.push(path);
  }
  return made;
}

/** Applies the diffs of a recipe, each to the file that was named last. One that was applied already is as good. */
async function applyDiffs(recipe: string): Promise<void> {
  for (const { index, 1: diff = '' } of recipe.matchAll(/```diff\n(.*?)```/gs)) {
    const [path = ''] =
      recipe
        .slice(0, index)
        .match(/(?<=`)[\w./-]+\.(?:ts|mjs)(?=`:)/g)
        ?.slice(-1) ?? [];
    const lines = diff.trimEnd().split('\n');
    const side = (other: string) => lines.filter((line) => !line.startsWith(other)).map((line) => `${line.slice(1)}\n`);
    const [before, after] = [side('+').join(''), side('-').join('')];
    const text = await readFile(join(place, path), 'utf8');
    if (after !== '' && text.includes(after)) continue;
    if (!text.includes(before)) throw new Error(`The diff does not fit ${path}:\n${diff}`);
    await writeFile(join(place, path), text.replace(before, after));
  }
}

/** Does what a reader of `docs/add-a-domain.md` does. */
async function followAddition(): Promise<string[]> {
  await copyCheckout(['src', 'migrations'], (path) => !path.includes('.spec'));
  const recipe = await readFile(join(root, 'docs/add-a-domain.md'), 'utf8');
  const made = await makeFiles(recipe);
  await applyDiffs(recipe);
  return made;
}

/** Does what a reader of `docs/delete-a-domain.md` does; tells what remains to be done, as the text says. */
async function followDeletion(): Promise<string[]> {
  await copyCheckout(['src', 'migrations', 'test', 'tour', 'bench/benches', 'bench/ours']);
  const recipe = await readFile(join(root, 'docs/delete-a-domain.md'), 'utf8');
  for (const [, recursively, paths = ''] of recipe.matchAll(/^rm( -r)? (.*)$/gm)) {
    // A path that is not there is an error, as it is to `rm`.
    for (const path of paths.split(' ')) await rm(join(place, path), { recursive: recursively !== undefined });
  }
  await applyDiffs(recipe);
  await makeFiles(recipe);
  return [...recipe.matchAll(/^- `(test\/[\w./-]+)`$/gm)].map(([, path = '']) => path);
}

/** Runs a script of the checkout, in the place; a failure shows what it printed. */
async function run(script: string, ...parameters: string[]): Promise<void> {
  const command = [join(root, script), ...parameters];
  await promisify(execFile)(process.execPath, command, { cwd: place }).catch((error: unknown) => {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${script} failed:\n${stdout}${stderr}`);
  });
}

describe('the recipes of a domain', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.create();
  });
  afterAll(async () => {
    await world.end();
    await rm(place, { recursive: true, force: true });
  });

  it('add one that is guarded from its first minute', async () => {
    expect(await followAddition()).toHaveLength(6);
    await run('node_modules/typescript/bin/tsc', '-p', place, '--types', 'node,jest');
    await run('scripts/build.mjs', join(place, 'dist'), place);

    const gate = await world.start({ DATABASE_ADMIN_URL: world.ownerUrl }, join(place, 'dist'));
    await world.sql(
      `INSERT INTO practices (id, name, time_zone) VALUES ('practice_1', '1', 'UTC'), ('practice_2', '2', 'UTC')`,
    );
    const token = (role: string, practice: string) =>
      tokenFor(gate, { sub: `user_${role}`, role, practice_id: practice });
    const announce = (as: string, body: unknown) =>
      call<{ id: string; text: string }>(gate, '/announcements', {
        token: as,
        body,
        headers: { 'idempotency-key': randomUUID() },
      });
    const admin = await token('practice_admin', 'practice_1');

    const made = await announce(admin, { text: 'Closed on Monday; select a date from the list' });
    expect([made.status, Object.keys(made.body)]).toEqual([201, ['id', 'text']]);
    expect((await announce(admin, { text: '' })).status).toBe(400);
    expect((await announce(admin, { text: 'a', by: 'me' })).status).toBe(400);
    expect((await announce(await token('provider', 'practice_1'), { text: 'a' })).status).toBe(403);
    expect((await call(gate, '/announcements')).status).toBe(401);

    const listed = async (practice: string) =>
      (await call(gate, '/announcements', { token: await token('provider', practice) })).body.data;
    expect(await listed('practice_1')).toEqual([made.body]);
    expect(await listed('practice_2')).toEqual([]);

    const claims = {
      practice_id: 'practice_1',
      role: 'practice_admin',
      client_id: 'app_fresh',
      usage_plan: 'standard',
    };
    const fresh = await tokenFor(gate, claims);
    const policies = async (answer: Promise<{ headers: Headers }>) => {
      const { headers } = await answer;
      return [headers.get('ratelimit-policy'), headers.get('ratelimit')?.replaceAll(/;t=\d+/g, '')];
    };
    expect(await policies(announce(fresh, { text: 'a' }))).toEqual([
      '"announcements";q=20;w=60',
      '"announcements";r=19',
    ]);
    expect(await policies(call(gate, '/announcements', { token: fresh }))).toEqual([
      '"standard";q=10;w=1, "daily";q=10000;w=86400',
      '"standard";r=5, "daily";r=9995',
    ]);

    const nosy = await token('security_officer', 'practice_2');
    expect((await call(gate, `/announcements?announcementId=${made.body.id}`, { token: nosy })).status).toBe(403);
    await until(async () => {
      const attempts = await world.sql<{ subjects: string[]; of: string }>(
        `SELECT body -> 'subjects' AS subjects, body ->> 'subjectPractice' AS of FROM audit_entries
         WHERE practice_id = 'practice_2' AND body ->> 'code' = 'cross_practice'`,
      );
      if (attempts.length > 0) expect(attempts).toEqual([{ subjects: [made.body.id], of: 'practice_1' }]);
      return attempts.length > 0;
    });

    const { paths } = (await call<{ paths: Record<string, unknown> }>(gate, '/docs-json')).body;
    expect(paths).toHaveProperty('/announcements');
  }, 300_000);

  const isThere = existsSync(join(root, 'src/domains/messaging'));
  (isThere ? it : it.skip)(
    'delete one, and the others do not miss it',
    async () => {
      const rest = await followDeletion();
      const cruiser = 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs';
      const [types, ...others] = await Promise.allSettled([
        run('node_modules/typescript/bin/tsc', '-p', place, '--types', 'node,jest'),
        run(cruiser, '--config', join(root, '.dependency-cruiser.cjs'), 'src'),
        run('scripts/build.mjs', join(place, 'dist'), place),
      ]);
      const done = { status: 'fulfilled', value: undefined };
      expect(others).toEqual([done, done]);
      const complaints = types.status === 'rejected' ? String(types.reason) : '';
      const unfinished = new Set([...complaints.matchAll(/^([\w./-]+)\(\d+,\d+\): error/gm)].map(([, path]) => path));
      expect([...unfinished].sort()).toEqual(rest);

      const development = { DATABASE_ADMIN_URL: world.ownerUrl, NODE_ENV: 'development' };
      const gate = await world.start(development, join(place, 'dist'));
      const token = await tokenFor(gate);
      const day = new Date(Date.now() + 3 * 86_400_000).toISOString().slice(0, 10);
      const slots = await call<{ data: { id: string }[] }>(gate, `/slots?date=${day}`, { token });
      const body = { patientId: 'pat_demo0001', slotId: slots.body.data[0]?.id, type: 'follow_up' };
      const booked = await call(gate, '/appointments', { token, body, headers: { 'idempotency-key': randomUUID() } });
      expect(booked.status).toBe(201);

      const posted = await call(gate, '/api/chat.postMessage', {
        token,
        body: { channel: 'C0DEMOGENERAL', text: 'a' },
      });
      expect([posted.status, posted.body.code]).toEqual([404, 'not_found']);
      const { paths } = (await call<{ paths: Record<string, unknown> }>(gate, '/docs-json')).body;
      expect(Object.keys(paths).filter((path) => path.startsWith('/api/'))).toEqual([]);
      expect(await world.sql(`SELECT to_regclass('workspaces') AS "table"`)).toEqual([{ table: null }]);
    },
    300_000,
  );
});
