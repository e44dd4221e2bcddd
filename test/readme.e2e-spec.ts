import { randomUUID } from 'node:crypto';
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { call, tokenFor } from './support/api';
import { root, runDir } from './support/places';
import { World } from './support/world';

/** The folder in which the recipe is followed; inside the checkout, so that its packages are found. */
const place = join(runDir, 'readme');

/**
 * Does what a reader of `docs/add-a-domain.md` does: makes the files that are named, and applies the diffs. A checkout in
 * which somebody has followed it already is as good.
 */
async function followRecipe(): Promise<string[]> {
  await rm(place, { recursive: true, force: true });
  const isNoSpec = (path: string) => !path.includes('.spec');
  for (const folder of ['src', 'migrations']) {
    await cp(join(root, folder), join(place, folder), { recursive: true, filter: isNoSpec });
  }
  for (const file of ['package.json', '.swcrc', 'tsconfig.json']) await cp(join(root, file), join(place, file));
  const recipe = await readFile(join(root, 'docs/add-a-domain.md'), 'utf8');
  const made: string[] = [];
  for (const [, path = '', code = ''] of recipe.matchAll(/`([\w./-]+\.ts)`:\n\n```ts\n(.*?)```/gs)) {
    await mkdir(dirname(join(place, path)), { recursive: true });
    await writeFile(join(place, path), code);
    made.push(path);
  }
  let file = '';
  for (const [, named, diff = ''] of recipe.matchAll(/`([\w./-]+\.ts)`:\n|```diff\n(.*?)```/gs)) {
    if (named === undefined) await apply(diff, join(place, file));
    else file = named;
  }
  return made;
}

async function apply(diff: string, file: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const lines = diff.trimEnd().split('\n');
  const without = (sign: string) =>
    lines
      .filter((line) => !line.startsWith(sign))
      .map((line) => line.slice(1))
      .join('\n');
  const [before, after] = [without('+'), without('-')];
  if (text.includes(after)) return;
  if (!text.includes(before)) throw new Error(`The diff does not fit ${file}:\n${diff}`);
  await writeFile(file, text.replace(before, after));
}

/** Runs a script of the checkout; a failure shows what it printed. */
async function run(script: string, ...parameters: string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [join(root, script), ...parameters]).catch((error: unknown) => {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${script} failed:\n${stdout}${stderr}`);
  });
}

describe('the recipe of a domain', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.create();
  });
  afterAll(async () => {
    await world.end();
    await rm(place, { recursive: true, force: true });
  });

  it('adds a domain that is guarded from its first minute', async () => {
    expect(await followRecipe()).toHaveLength(6);
    await run('node_modules/typescript/bin/tsc', '-p', place, '--types', 'node,jest');
    await run('scripts/build.mjs', join(place, 'dist'), place);

    const gate = await world.start({ DATABASE_ADMIN_URL: world.ownerUrl }, join(place, 'dist'));
    await world.sql(
      `INSERT INTO practices (id, name, time_zone) VALUES ('practice_1', '1', 'UTC'), ('practice_2', '2', 'UTC')`,
    );
    const token = (role: string, practice: string) =>
      tokenFor(gate, { sub: `user_${role}`, role, practice_id: practice });
    const announce = (as: string, body: unknown) =>
      call(gate, '/announcements', { token: as, body, headers: { 'idempotency-key': randomUUID() } });
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

    const { paths } = (await call<{ paths: Record<string, unknown> }>(gate, '/docs-json')).body;
    expect(paths).toHaveProperty('/announcements');
  }, 60_000);
});
