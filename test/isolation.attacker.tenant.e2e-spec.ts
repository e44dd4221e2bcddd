import { createHmac } from 'node:crypto';
import type { Client, DatabaseError } from 'pg';
import { enter } from '../src/platform/database/message';
import { call, tokenFor } from './support/api';
import { Attack, noPrivilege } from './support/attack';
import type { GateProcess } from './support/process';
import type { World } from './support/world';

const hmac = (key: string, text: string) => createHmac('sha256', key).update(text).digest('hex');
const codeOf = (signed: string) => signed.slice(-64);

/**
 * Someone who can run any SQL as the runtime role, for a request of his own tenant. What he must not get is past row-level
 * security: another tenant’s name, and with it what is that one’s.
 */
describe('an attacker with the runtime role’s connection, who would be somebody else', () => {
  const attack = Attack.forTests();
  let world: World;
  let attacker: Client;
  let gate: GateProcess;

  beforeAll(() => {
    ({ world, attacker, gate } = attack());
  });

  it('becomes no other role', async () => {
    const { rows } = await attacker.query<{ name: string }>(
      'SELECT quote_ident(rolname) AS name FROM pg_roles WHERE rolname NOT IN (current_user, $1)',
      ['gatehouse_app'],
    );
    expect(rows.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'postgres',
        'gatehouse_owner',
        'gatehouse_system',
        'gatehouse_relay',
        'gatehouse_lookup',
      ]),
    );
    for (const { name } of rows) {
      expect((await attack().refusal(`SET ROLE ${name}`)).code).toMatch(/^(42501|22023)$/);
      expect((await attack().refusal(`SET SESSION AUTHORIZATION ${name}`)).code).toBe('42501');
      expect((await attack().refusal(`GRANT ${name} TO CURRENT_USER`)).code).toMatch(/^(42501|0A000)$/);
    }
  });

  it('is who he was after he has reset everything', async () => {
    for (const reset of ['RESET ALL', 'RESET ROLE', 'RESET SESSION AUTHORIZATION', 'DISCARD ALL', 'SET ROLE NONE']) {
      await attacker.query(reset);
      const { rows } = await attacker.query<{ name: string; isSuper: string }>(
        `SELECT current_user AS name, current_setting('is_superuser') AS "isSuper"`,
      );
      expect(rows).toEqual([{ name: 'gatehouse_api', isSuper: 'off' }]);
      expect(await attack().countsBy('SELECT count(*)::int AS n FROM patients')).toEqual([{ n: 0 }]);
    }
  });

  it.each([
    ['unset', 'RESET gatehouse.tenant'],
    ['empty', `SET gatehouse.tenant = ''`],
    ['row security off', `SET row_security = off`],
  ])('with a tenant that is %s reads no row of any table that has one', async (_, setting) => {
    await attacker.query(setting);
    const rows = await attack().relations();
    expect(rows.filter(({ isReadable }) => isReadable).length).toBeGreaterThan(8);
    for (const { name, isReadable } of rows) {
      const count = attack().countsBy(`SELECT count(*)::int AS n FROM ${name}`);
      if (isReadable && setting !== 'SET row_security = off') expect([name, await count]).toEqual([name, [{ n: 0 }]]);
      else await expect(count).rejects.toThrow(/permission denied|row-level security/);
    }
    if (setting !== 'SET row_security = off')
      expect((await attacker.query('SELECT gatehouse_tenant() AS tenant')).rows).toEqual([{ tenant: null }]);
    await attacker.query('DISCARD ALL');
  });

  it.each([
    ['another’s', () => 'practice_theirs'],
    ['his own without a code', () => 'practice_ours'],
    ['another’s with his own code', (own: string) => own.replace('ours', 'theirs')],
    ['another’s behind his own', (own: string) => `${own}~practice_theirs`],
    ['another’s before his own', (own: string) => `practice_theirs~${own}`],
    ['another’s with the code of an empty key', () => `practice_theirs~${hmac('', 'practice_theirs')}`],
    ['his own with half of its code', (own: string) => own.slice(0, -32)],
    ['his own in capitals', (own: string) => own.toUpperCase()],
    ['a code alone', (own: string) => own.slice(own.indexOf('~'))],
    ['a pattern', () => '%~%'],
    ['a list', (own: string) => `${own},practice_theirs`],
    ['SQL', () => "'' OR true --"],
    ['the platform', () => 'platform'],
    ['nobody', () => 'practice_nobody'],
  ])(
    'sees and writes nothing where he sets a tenant that is %s, and no transaction begins with it',
    async (_, made) => {
      const [own, theirs] = [await world.signed('practice_ours'), await world.signed('practice_theirs')];
      await attacker.query(`SELECT set_config('gatehouse.tenant', $1, false)`, [made(own)]);
      const readable = (await attack().relations()).filter(({ isReadable }) => isReadable);
      expect(readable.length).toBeGreaterThan(8);
      for (const text of [
        ...readable.map(({ name }) => `SELECT FROM ${name}`),
        `SELECT FROM gatehouse_tenant() AS tenant WHERE tenant IS NOT NULL`,
        `SELECT audit_entries_about('pat_theirs1', 0, 1000000)`,
        `UPDATE patients SET email = 'x'`,
      ])
        expect([text, (await attacker.query(text)).rowCount]).toEqual([text, 0]);
      const planted = attacker.query(
        `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth)
       VALUES ('practice_theirs', 'pat_x', 'F', 'L', '2000-01-01')`,
      );
      await expect(planted).rejects.toMatchObject({ code: noPrivilege });
      const refused = await attacker.query(enter.text, [made(own)]).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: noPrivilege });
      expect(JSON.stringify(refused)).not.toContain(codeOf(theirs));
      await attacker.query('DISCARD ALL');
    },
  );

  /**
   * Conditions that are leakproof and cost less than the policy's would be asked before it. What they leave behind, and what the
   * policy does, such as fail, or be seen in a plan, must not depend on whether another's row gets there.
   */
  it.each([
    ['reading every row', 'SET enable_seqscan = on; SET enable_indexscan = off; SET enable_indexonlyscan = off'],
    ['by index', 'SET enable_seqscan = off'],
  ])('cannot tell by what becomes of a query, %s, which rows others have', async (_, plans) => {
    await attacker.query(
      `${plans}; SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0; SET plan_cache_mode = force_generic_plan`,
    );
    const { rows: tables } = await attacker.query<{ name: string; key: string; column: string }>(
      `SELECT quote_ident(c.relname) AS name, a.attname AS key,
              (SELECT quote_ident(t.attname) FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attnum > a.attnum AND t.atttypid = 'text'::regtype
               ORDER BY t.attnotnull DESC, t.attnum LIMIT 1) AS column
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND has_table_privilege(c.oid, 'SELECT')
         AND (a.attname IN ('practice_id', 'tenant_id') OR (c.relname = 'practices' AND a.attname = 'id'))`,
    );
    const asked = tables.flatMap(({ name, key, column }) => [
      `SELECT FROM ${name} WHERE ${key} = ANY (ARRAY[$1])`,
      `SELECT FROM ${name} WHERE ${key} >= ANY (ARRAY[$1]) AND ${key} <= ANY (ARRAY[$1]) AND ${column} >= ANY ('{0}')`,
      `SELECT FROM ${name} WHERE ${key} >= ANY (ARRAY[$1]) AND ${key} <= ANY (ARRAY[$1]) AND ${column} IS NOT NULL`,
      // A sub-select of his own counts as leakproof, and leaves word that it was reached.
      `SELECT FROM ${name} WHERE ${key} >= ANY (ARRAY[$1]) AND ${key} <= ANY (ARRAY[$1])
         AND ${column} >= ANY (ARRAY[(SELECT set_config('x.seen', '1', true))])`,
    ]);
    expect(asked.length).toBeGreaterThan(20);
    const outcomeOf = async (text: string, whose: string) => {
      // With one plan for both: which one is made is told by the samples of identifiers, not by the rows.
      await attacker.query(`PREPARE asked (text) AS ${text}`);
      const explained = `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) EXECUTE asked ('${whose}')`;
      // That the policy asked whose the rows may be is to be seen, too, where that reads the key anew.
      await attacker.query('DISCARD PLANS');
      const counted = async () => {
        const { rows } = await attacker.query<{ asked: number; seen: string | null }>(
          `SELECT sum(seq_scan + coalesce(idx_scan, 0))::int AS asked, current_setting('x.seen', true) AS seen
           FROM pg_stat_xact_all_tables WHERE relname = 'tenant_keys'`,
        );
        return rows[0] ?? { asked: 0, seen: null };
      };
      await attacker.query('BEGIN');
      const before = await counted();
      const outcome = await attacker.query<{ 'QUERY PLAN': string }>(explained).then(
        ({ rows }) => rows.map((row) => row['QUERY PLAN']).join('\n'),
        (error: unknown) => (error as DatabaseError).message,
      );
      const failed = !outcome.includes('actual rows');
      const { asked, seen } = failed ? before : await counted();
      await attacker.query('ROLLBACK');
      await attacker.query('DEALLOCATE asked');
      return [outcome, asked - before.asked, seen];
    };
    for (const tenant of [await world.signed('practice_ours'), 'practice_theirs~forged', '']) {
      await attacker.query(`SELECT set_config('gatehouse.tenant', $1, false)`, [tenant]);
      for (const text of asked) {
        const [theirs, nobodys] = [await outcomeOf(text, 'practice_theirs'), await outcomeOf(text, 'practice_nobody')];
        expect([text, theirs]).toEqual([text, nobodys]);
      }
    }
    await attacker.query('RESET ALL');
  });

  it('cannot make a policy fail where an open cursor gets to a row of another', async () => {
    const { rows } = await attacker.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM pg_proc WHERE proname = 'gatehouse_tenant' AND proconfig @> '{row_security=on}'`,
    );
    expect(rows).toEqual([{ count: 1 }]);
    for (const tenant of ['practice_theirs~forged', `practice_theirs~${'x'.repeat(600)}`, '\\x~', '~', '~~~'])
      for (const id of ['pat_theirs1', 'pat_nobody']) {
        await attack().as('practice_ours');
        await attacker.query(`DECLARE seen CURSOR FOR SELECT 1 FROM patients WHERE id = '${id}'`);
        await attacker.query('SET LOCAL row_security = off');
        await attacker.query(`SELECT set_config('gatehouse.tenant', $1, true)`, [tenant]);
        expect([tenant, id, (await attacker.query('FETCH seen')).rows]).toEqual([tenant, id, []]);
        await attacker.query('ROLLBACK');
      }
  });

  it('is told that he is his own tenant', async () => {
    await attack().as('practice_ours');
    expect((await attacker.query('SELECT gatehouse_tenant() AS tenant')).rows).toEqual([{ tenant: 'practice_ours' }]);
  });

  it('sees no signed name of another tenant in what Postgres shows him of other sessions', async () => {
    const claims = { sub: 'user_b', practice_id: 'practice_theirs', role: 'practice_admin' };
    expect((await call(gate, '/patients', { token: await tokenFor(gate, claims) })).status).toBe(200);
    const { rows } = await attacker.query<{ query: string; everything: string }>(
      `SELECT query, t::text AS everything FROM pg_stat_activity t WHERE usename = current_user AND pid <> pg_backend_pid()`,
    );
    expect(rows.map(({ query }) => query).join('\n')).toMatch(/SELECT/); // he sees what they run
    expect(JSON.stringify(rows)).not.toContain(codeOf(await world.signed('practice_theirs')));
    await attack().accept(); // with its entry in the audit log
  });

  it('is shown no key in what Postgres prints of its plans', async () => {
    const [keys] = await world.sql<{ inner: Buffer; outer: Buffer }>(
      'SELECT inner_pad AS inner, outer_pad AS outer FROM tenant_keys ORDER BY id DESC LIMIT 1',
    );
    // As the printed tree of a plan has a constant: its bytes as decimals, signed or not, broken where a line ends.
    const printed = [keys?.inner, keys?.outer].flatMap((half) =>
      [new Int8Array(half ?? []), new Uint8Array(half ?? [])].map((bytes) => Array.from(bytes).join('')),
    );
    const said: string[] = [];
    const hear = ({ message, detail }: { message?: string | undefined; detail?: string | undefined }) =>
      said.push(message ?? '', detail ?? '');
    attacker.on('notice', hear);
    for (const what of ['parse', 'rewritten', 'plan']) await attacker.query(`SET debug_print_${what} = on`);
    await attacker.query('SET client_min_messages = debug5');
    await attack().as('practice_ours');
    for (const meddled of [
      'DISCARD PLANS',
      'SET LOCAL search_path = public',
      'SET LOCAL plan_cache_mode = force_custom_plan',
    ]) {
      await attacker.query(meddled);
      expect(await attack().countsBy('SELECT count(*)::int AS n FROM public.patients')).toEqual([{ n: 60 }]);
    }
    await attacker.query('ROLLBACK');
    attacker.off('notice', hear);
    await attacker.query('RESET ALL');
    const heard = said.join('').replaceAll(/\s/g, '');
    expect(heard.includes('plan:{PLANNEDSTMT')).toBe(true);
    expect(printed.map((half) => half.length > 64)).toEqual([true, true, true, true]);
    expect(printed.filter((half) => heard.includes(half))).toEqual([]);
  });

  it('as a tenant reads that one’s rows alone, of every table', async () => {
    const { rows: tables } = await attacker.query<{ name: string; key: string }>(
      `SELECT quote_ident(c.relname) AS name, a.attname AS key FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND has_table_privilege(c.oid, 'SELECT')
         AND (a.attname IN ('practice_id', 'tenant_id') OR (c.relname = 'practices' AND a.attname = 'id'))`,
    );
    await attack().as('practice_ours');
    for (const { name, key } of tables) {
      const { rows } = await attacker.query<{ key: string }>(`SELECT DISTINCT ${key} AS key FROM ${name}`);
      const foreign = rows.filter((row) => row.key !== 'practice_ours');
      expect([name, foreign]).toEqual([name, []]);
    }
    expect(await attack().countsBy('SELECT count(*)::int AS n FROM patients')).toEqual([{ n: 60 }]);
  });
});
