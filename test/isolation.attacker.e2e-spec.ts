import { createHmac } from 'node:crypto';
import type { Client, DatabaseError } from 'pg';
import { call, tokenFor } from './support/api';
import { enter } from '../src/platform/database/message';
import { attacks, attacksOutside } from './support/attacks';
import { seedSubjects } from './support/route-requests';
import type { GateProcess } from './support/process';
import { World } from './support/world';

/** SQLSTATE of what lacks a privilege or fails row-level security. */
const noPrivilege = '42501';

const hmac = (key: string, text: string) => createHmac('sha256', key).update(text).digest('hex');
const codeOf = (signed: string) => signed.slice(-64);

/**
 * Someone who can run any SQL as the runtime role, for a request of his own tenant. What he must not get is past row-level
 * security: another tenant's rows, the owner's or the system's rights, the server's files, the audit log.
 */
describe('an attacker with the runtime role’s connection', () => {
  let world: World;
  let attacker: Client;
  let gate: GateProcess;
  let before: unknown;

  /** All there is, as the superuser sees it: rows, and what the catalogue says of tables, policies, functions, roles. */
  const everything = async (): Promise<unknown> => {
    const tables = await world.sql<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1`,
    );
    const rows = tables.map(
      ({ name }) => `SELECT '${name}' AS name, md5(string_agg(t::text, ',' ORDER BY t::text)) AS sum FROM "${name}" t`,
    );
    const catalogue = [
      `SELECT 'relations', md5(string_agg(concat(c.relname, c.relkind, c.relowner, c.relrowsecurity, c.relforcerowsecurity, c.relacl), ',' ORDER BY c.relname))
       FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace`,
      `SELECT 'policies', md5(string_agg(p::text, ',' ORDER BY p::text)) FROM pg_policies p`,
      `SELECT 'functions', md5(string_agg(p::text, ',' ORDER BY p.oid)) FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace`,
    ];
    return world.sql([...rows, ...catalogue].join(' UNION ALL '));
  };
  /** As the application would begin a transaction of that tenant. */
  const as = async (tenant: string) =>
    attacker.query(`BEGIN; SET LOCAL gatehouse.tenant = '${await world.signed(tenant)}'`);
  /** What there is to be read, but for whose it may be. */
  const relations = async () =>
    (
      await attacker.query<{ name: string; isReadable: boolean }>(
        `SELECT quote_ident(relname) AS name, has_table_privilege(oid, 'SELECT') AS "isReadable"
         FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm') ORDER BY 1`,
      )
    ).rows;
  /** What Postgres says to a statement that it refuses. */
  const refusal = async (text: string, tenant = 'practice_ours'): Promise<DatabaseError> => {
    await as(tenant);
    try {
      const { rows } = await attacker.query(text);
      throw new Error(`Postgres did it: ${text}: ${JSON.stringify(rows)}`);
    } catch (error) {
      if ((error as Partial<DatabaseError>).severity === undefined) throw error;
      return error as DatabaseError;
    } finally {
      await attacker.query('ROLLBACK');
    }
  };
  /** As on a database where nobody took it from everybody. */
  const mayMakeTemporary = async (how: 'GRANT' | 'REVOKE') => {
    const [row] = await world.sql<{ name: string }>('SELECT current_database() AS name');
    await world.sql(`${how} TEMP ON DATABASE ${row?.name} ${how === 'GRANT' ? 'TO' : 'FROM'} gatehouse_api`);
  };
  const countsBy = async (text: string): Promise<unknown[]> => (await attacker.query<{ n: number }>(text)).rows;

  beforeAll(async () => {
    world = await World.create();
    await seedSubjects(world, 'ours');
    await seedSubjects(world, 'theirs');
    gate = await world.start({ GATEHOUSE_ROLE: 'api' });
    for (const practice of ['ours', 'theirs']) {
      const claims = { sub: 'user_a', practice_id: `practice_${practice}`, role: 'practice_admin' };
      const token = await tokenFor(gate, claims);
      expect((await call(gate, `/patients/pat_${practice}1`, { token })).status).toBe(200);
      const nothing = await tokenFor(gate, { ...claims, role: 'operator' });
      await call(gate, '/usage-plans/app_a', { token: nothing, method: 'PUT', body: { plan: 'enterprise' } });
    }
    await world.sql('ANALYZE');
    attacker = await world.runtimeClient();
    before = await everything();
  }, 120_000);
  afterEach(async () => {
    await attacker.query('ROLLBACK');
    expect(await everything()).toEqual(before);
  });
  afterAll(async () => {
    await attacker.end();
    await world.end();
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
      expect((await refusal(`SET ROLE ${name}`)).code).toMatch(/^(42501|22023)$/);
      expect((await refusal(`SET SESSION AUTHORIZATION ${name}`)).code).toBe('42501');
      expect((await refusal(`GRANT ${name} TO CURRENT_USER`)).code).toMatch(/^(42501|0A000)$/);
    }
  });

  it('is who he was after he has reset everything', async () => {
    for (const reset of ['RESET ALL', 'RESET ROLE', 'RESET SESSION AUTHORIZATION', 'DISCARD ALL', 'SET ROLE NONE']) {
      await attacker.query(reset);
      const { rows } = await attacker.query<{ name: string; isSuper: string }>(
        `SELECT current_user AS name, current_setting('is_superuser') AS "isSuper"`,
      );
      expect(rows).toEqual([{ name: 'gatehouse_api', isSuper: 'off' }]);
      expect(await countsBy('SELECT count(*)::int AS n FROM patients')).toEqual([{ n: 0 }]);
    }
  });

  it.each([
    ['unset', 'RESET gatehouse.tenant'],
    ['empty', `SET gatehouse.tenant = ''`],
    ['row security off', `SET row_security = off`],
  ])('with a tenant that is %s reads no row of any table that has one', async (_, setting) => {
    await attacker.query(setting);
    const rows = await relations();
    expect(rows.filter(({ isReadable }) => isReadable).length).toBeGreaterThan(8);
    for (const { name, isReadable } of rows) {
      const count = countsBy(`SELECT count(*)::int AS n FROM ${name}`);
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
      const readable = (await relations()).filter(({ isReadable }) => isReadable);
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
        await as('practice_ours');
        await attacker.query(`DECLARE seen CURSOR FOR SELECT 1 FROM patients WHERE id = '${id}'`);
        await attacker.query('SET LOCAL row_security = off');
        await attacker.query(`SELECT set_config('gatehouse.tenant', $1, true)`, [tenant]);
        expect([tenant, id, (await attacker.query('FETCH seen')).rows]).toEqual([tenant, id, []]);
        await attacker.query('ROLLBACK');
      }
  });

  it('is told that he is his own tenant', async () => {
    await as('practice_ours');
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
    before = await everything(); // with its entry in the audit log
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
    await as('practice_ours');
    for (const meddled of [
      'DISCARD PLANS',
      'SET LOCAL search_path = public',
      'SET LOCAL plan_cache_mode = force_custom_plan',
    ]) {
      await attacker.query(meddled);
      expect(await countsBy('SELECT count(*)::int AS n FROM public.patients')).toEqual([{ n: 60 }]);
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
    await as('practice_ours');
    for (const { name, key } of tables) {
      const { rows } = await attacker.query<{ key: string }>(`SELECT DISTINCT ${key} AS key FROM ${name}`);
      const foreign = rows.filter((row) => row.key !== 'practice_ours');
      expect([name, foreign]).toEqual([name, []]);
    }
    expect(await countsBy('SELECT count(*)::int AS n FROM patients')).toEqual([{ n: 60 }]);
  });

  it.each(attacks)('is refused: %s', async (attack) => {
    const { code } = await refusal(attack);
    expect([attack, code]).toEqual([attack, noPrivilege]);
  });

  it.each(['id', 'type', 'correlation_id', 'traceparent', 'payload'])(
    'puts no %s into the outbox that is too long for those who read the events of all',
    async (column) => {
      const row = { id: 'evt_x', type: 't', correlation_id: 'c', traceparent: '', payload: '{}' };
      const insert = (of: string) =>
        `INSERT INTO outbox_events (tenant_id, id, type, correlation_id, traceparent, payload)
         SELECT 'practice_ours', id, type, correlation_id, traceparent, payload FROM jsonb_to_record('${JSON.stringify(row)}' || ${of})
         AS given (id text, type text, correlation_id text, traceparent text, payload jsonb)`;
      const { code } = await refusal(insert(`jsonb_build_object('${column}', repeat('x', 100000))`));
      expect(code).toBe('23514');
      expect((await refusal(insert(`'{"id":null}'::jsonb`))).code).toBe('23502'); // another flaw: it is the length that was refused
    },
  );

  it.each(attacksOutside)('is refused: %s', async (attack) => {
    const refused = attacker.query(attack);
    await expect(refused).rejects.toMatchObject({ code: noPrivilege });
  });

  it('changes no foreign row by a statement that names it', async () => {
    await as('practice_ours');
    for (const change of [
      `UPDATE patients SET email = 'x' WHERE practice_id = 'practice_theirs'`,
      `UPDATE appointments SET status = 'cancelled' WHERE id = 'appt_theirs1'`,
      `UPDATE slots SET status = 'blocked' WHERE practice_id <> 'practice_ours'`,
      `DELETE FROM patient_search_terms WHERE practice_id = 'practice_theirs'`,
      `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth)
         VALUES ('practice_ours', 'pat_theirs1', 'F', 'L', '2000-01-01') ON CONFLICT DO NOTHING`,
    ]) {
      expect([change, (await attacker.query(change)).rowCount]).toEqual([change, 0]);
    }
    const takeover = `INSERT INTO patients AS p (practice_id, id, first_name, last_name, date_of_birth)
      VALUES ('practice_ours', 'pat_theirs1', 'F', 'L', '2000-01-01')
      ON CONFLICT (id) DO UPDATE SET email = 'x' RETURNING p.first_name, p.email`;
    await attacker.query('ROLLBACK');
    const { code, detail, message } = await refusal(takeover);
    expect([code, detail]).toEqual(['42P10', undefined]);
    expect(message).not.toContain('theirsfirst');
    // It would be read by the condition of an update that is refused only behind it.
    const { rows } = await attacker.query<{ name: string }>(
      `SELECT i.indexrelid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
       WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique AND i.indimmediate
         AND has_any_column_privilege(c.oid, 'INSERT') AND has_any_column_privilege(c.oid, 'UPDATE') AND NOT EXISTS (
           SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
             AND a.attname IN ('practice_id', 'tenant_id', 'workspace_id'))`,
    );
    expect(rows).toEqual([]);
  });

  it('learns of an id that exists elsewhere no more than that it is not his', async () => {
    const insert = (id: string) =>
      `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth) VALUES ('practice_ours', '${id}', 'F', 'L', '2000-01-01')`;
    const { code, detail, message } = await refusal(insert('pat_theirs1'));
    // No key, no row in it: what it tells beyond "taken" is nothing, and practice_of_patient says that much by design.
    expect([code, detail]).toEqual(['23P01', 'Key conflicts with existing key.']);
    expect(message).not.toMatch(/theirs/);

    const appointment = (patient: string, slot: string) =>
      `INSERT INTO appointments (practice_id, id, patient_id, slot_id, starts_at, type, booked_by)
       SELECT 'practice_ours', 'appt_x', '${patient}', '${slot}', max(starts_at), 'follow_up', 'u' FROM slots WHERE id = 'slot_ours130'`;
    const said = async (text: string) => {
      const error = await refusal(text);
      return [error.code, error.message, error.detail?.replace(/\([\w, ]+\)=\([^)]*\)/, '…')];
    };
    expect(await said(appointment('pat_theirs1', 'slot_ours130'))).toEqual(
      await said(appointment('pat_nobody', 'slot_ours130')),
    );
    expect(await said(appointment('pat_ours1', 'slot_theirs130'))).toEqual(
      await said(appointment('pat_ours1', 'slot_nobody')),
    );
  });

  it('is told by the definer’s functions a practice’s id and nothing else, whatever he puts in their way', async () => {
    const { rows: functions } = await attacker.query<{ signature: string; settings: string[] | null }>(
      `SELECT oid::regprocedure::text AS signature, proconfig AS settings FROM pg_proc
       WHERE prosecdef AND pronamespace = 'public'::regnamespace ORDER BY 1`,
    );
    const pinned = 'search_path=pg_catalog, pg_temp';
    expect(functions).toEqual([
      {
        signature: 'append_audit_entries(text[],integer[],text[],text[],json)',
        settings: [pinned, 'lock_timeout=3s', 'enable_seqscan=off'],
      },
      {
        signature: 'audit_entries_about(text,bigint,bigint)',
        settings: [pinned, 'enable_seqscan=off', 'gin_fuzzy_search_limit=0'],
      },
      { signature: 'audit_index_fault(text)', settings: [pinned, 'enable_seqscan=off'] },
      { signature: 'computed_tenant()', settings: [pinned] },
      { signature: 'forget_tenant_key()', settings: [pinned] },
      { signature: 'gatehouse_tenant()', settings: [pinned, 'debug_print_plan=off', 'row_security=on'] },
      { signature: 'index_audit_blocks(integer)', settings: [pinned, 'enable_seqscan=off'] },
      { signature: 'owners_of(text[])', settings: [pinned, 'enable_seqscan=off'] },
      { signature: 'practice_of_appointment(text)', settings: [pinned] },
      { signature: 'practice_of_patient(text)', settings: [pinned] },
      { signature: 'practice_of_slot(text)', settings: [pinned] },
      { signature: 'refuse_unusable_key()', settings: [pinned] },
    ]);
    await mayMakeTemporary('GRANT');
    await as('practice_ours');
    await attacker.query(`CREATE TEMP TABLE patients AS SELECT 'pat_theirs1' AS id, 'practice_fake' AS practice_id`);
    await attacker.query(`CREATE FUNCTION pg_temp.eq(text, text) RETURNS boolean LANGUAGE sql RETURN true`);
    await attacker.query(`CREATE OPERATOR pg_temp.= (leftarg = text, rightarg = text, function = pg_temp.eq)`);
    await attacker.query('SET LOCAL search_path = pg_temp, public');
    const { rows } = await attacker.query(
      `SELECT practice_of_patient('pat_theirs1') AS patient, practice_of_slot('slot_theirs1') AS slot,
              practice_of_appointment('appt_theirs1') AS appointment, practice_of_patient('%') AS pattern,
              array(SELECT audit_entries_about('pat_theirs1', 0, 1000000)) AS entries`,
    );
    const id = 'practice_theirs';
    expect(rows).toEqual([{ patient: id, slot: id, appointment: id, pattern: null, entries: [] }]);
    await attacker.query('ROLLBACK');
    await mayMakeTemporary('REVOKE');
  });

  it('is not told what his session prepared, and so puts nothing in its place', async () => {
    const listed = await refusal('SELECT name FROM pg_prepared_statements');
    expect(listed.code).toBe(noPrivilege);
  });

  it('smuggles no function of his own before the policy', async () => {
    const seen: string[] = [];
    attacker.on('notice', ({ message }) => seen.push(message ?? ''));
    await mayMakeTemporary('GRANT');
    await as('practice_ours');
    await attacker.query(
      `CREATE FUNCTION pg_temp.leak(value text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql AS
       $$ BEGIN RAISE NOTICE 'leak %', value; RETURN true; END $$`,
    );
    await attacker.query('SELECT count(*) FROM public.patients WHERE pg_temp.leak(first_name) AND pg_temp.leak(id)');
    expect(seen.filter((line) => line.includes('ours')).length).toBeGreaterThan(0); // it was called for his own rows
    expect(seen.filter((line) => line.includes('theirs'))).toEqual([]);
    await attacker.query('ROLLBACK');
    const marked = await refusal(
      `CREATE FUNCTION pg_temp.leak(value text) RETURNS boolean LEAKPROOF LANGUAGE sql RETURN true`,
    );
    expect(marked.code).toBe('42501');
    await mayMakeTemporary('REVOKE');
    // A value that fails in an expression would stand in the error's text.
    await as('practice_ours');
    const cast = attacker.query(`SELECT 1 FROM public.patients WHERE id = 'pat_theirs1' AND first_name::int = 1`);
    expect((await cast).rows).toEqual([]);
  });

  it('reads no value in the statistics of tables under row-level security', async () => {
    await as('practice_ours');
    const known = await world.sql(
      `SELECT 1 FROM pg_stats WHERE tablename = 'patients' AND most_common_vals::text LIKE '%theirs%'`,
    );
    expect(known.length).toBeGreaterThan(0); // the superuser sees them: they are there
    for (const view of ['pg_stats', 'pg_stats_ext', 'pg_stats_ext_exprs']) {
      const { rows } = await attacker.query(`SELECT tablename FROM ${view} WHERE schemaname = 'public'`);
      expect([view, rows]).toEqual([view, []]);
    }
    // What Postgres samples it believes for all tenants: a value of theirs must be as likely as one that nobody has.
    const sampled = await world.sql<{ name: string }>(
      `SELECT DISTINCT format('%s.%s', tablename, attname) AS name FROM pg_stats
       WHERE schemaname = 'public' AND tablename <> 'migrations' AND (most_common_vals IS NOT NULL OR histogram_bounds IS NOT NULL)`,
    );
    const names = sampled.map(({ name }) => name);
    expect(names).toContain('patients.id');
    expect(
      names.filter((name) => /name|phone|mail|birth|insurance|encrypted|term$|text|body|request_hash/.test(name)),
    ).toEqual([]);
    const estimate = async (condition: string) => {
      const { rows } = await attacker.query<{ 'QUERY PLAN': [{ Plan: { Plans: [{ 'Plan Rows': number }] } }] }>(
        `EXPLAIN (FORMAT JSON) SELECT FROM public.patients p, generate_series(1, 1000000) g WHERE p.${condition} OR g < 0`,
      );
      return JSON.stringify(rows[0]?.['QUERY PLAN'], (key, value: unknown) =>
        /Filter|Cond/.test(key) ? undefined : value,
      );
    };
    const [theirs] = await world.sql<{ last: string; email: string }>(
      `SELECT last_name AS last, email FROM patients WHERE practice_id = 'practice_theirs' LIMIT 1`,
    );
    expect(await estimate(`last_name = '${theirs?.last ?? ''}'`)).toBe(await estimate(`last_name = 'Nobody'`));
    expect(await estimate(`email < '${theirs?.email ?? ''}'`)).toBe(await estimate(`email < 'zzzz'`));
    expect(await estimate(`date_of_birth < '1900-01-01'`)).toBe(await estimate(`date_of_birth < '2020-01-01'`));
    // A plan shows the conditions that he gave, and estimates; the policy stands in it as its function, without a value.
    const { rows } = await attacker.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN (ANALYZE, VERBOSE, SETTINGS) SELECT * FROM public.patients WHERE last_name >= ''`,
    );
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toContain('patients_by_name');
    expect(plan).not.toMatch(/theirs|~/);
  });
});

/** The one for work across tenants, which every process has beside the runtime role: it must not be a way to what they keep. */
describe('an attacker with the system role’s connection', () => {
  let world: World;
  let attacker: Client;

  beforeAll(async () => {
    world = await World.create();
    await world.sql(
      `INSERT INTO idempotency_records (tenant_id, key_hash, request_hash, status, body, expires_at)
       VALUES ('practice_theirs', 'k', 'r', 201, '{"firstName":"Ada"}', now() + interval '1 hour')`,
    );
    attacker = await world.clientOf('system');
  });
  afterAll(async () => {
    await attacker.end();
    await world.end();
  });

  it.each([
    'SELECT body FROM idempotency_records',
    'SELECT request_hash FROM idempotency_records',
    'SELECT * FROM idempotency_records',
    `DELETE FROM idempotency_records RETURNING body`,
    'SELECT FROM patients',
    'SELECT FROM patient_search_terms',
    'SELECT FROM appointments',
    'SELECT FROM messages',
  ])('is refused: %s', async (attack) => {
    await expect(attacker.query(attack)).rejects.toMatchObject({ code: noPrivilege });
  });

  const appendText = 'SELECT append_audit_entries($1, $2, $3, $4, $5)';
  const append = (said: string, { chain = 'practice_ours', id = 'aud_1', at = '2026-01-01T00:00:00.000Z' } = {}) =>
    attacker.query(appendText, [[chain], [1], [id], [at], `[${said}]`]);

  const said = '{"actor":"a","subjects":[]}';
  it.each([
    ['another chain', '{"practice":"practice_theirs","actor":"a","subjects":[]}', {}],
    [
      'the end of another chain',
      '{"practice":"practice_theirs","seq":9223372036854775807,"actor":"a","subjects":[]}',
      {},
    ],
    ['another number', '{"seq":7,"actor":"a","subjects":[]}', {}],
    ['another time', '{"at":"9999-01-01T00:00:00.000Z","actor":"a","subjects":[]}', {}],
    ['another chain, by its id', said, { id: 'aud_1","practice":"practice_theirs' }],
    ['another chain, by its time', said, { at: '2026-01-01T00:00:00.000Z","practice":"practice_theirs' }],
    ['no time at all', said, { at: 'zzz' }],
    ['a time that only sorts as one', said, { at: '2026-11-27~~~~~~~~~~~~~~' }],
    ['no day of the calendar', said, { at: '2026-02-30T00:00:00.000Z' }],
    ['another form of time', said, { at: '2026-01-01 00:00:00.00+00' }],
    ['a chain of another form', said, { chain: 'practice_ours ' }],
    ['a chain that no verifier could name', said, { chain: 'x'.repeat(300) }],
    ['where its subjects cannot be read', '{"actor":"a","subjects":"pat_1"}', {}],
    ['where it has no subjects', '{"actor":"a"}', {}],
    ['where its id says more', said, { id: 'aud_1","x":"' }],
    ['where its id is too long', said, { id: 'a'.repeat(65) }],
    ['where its id says what its subjects are', said, { id: 'aud_1","subjects":"pat_1","x":"' }],
    ['where its number cannot be read', '{"actor":"a","subjects":[],"detail":{"count":"many"}}', {}],
    ['where its number is too high', '{"actor":"a","subjects":[],"detail":{"count":2147483647}}', {}],
    ['where its number takes others away', '{"actor":"a","subjects":[],"detail":{"count":-5}}', {}],
    ['where it is longer than any', `{"actor":"${'a'.repeat(300_000)}","subjects":[]}`, {}],
  ])('puts no entry at %s', async (_, entry, places) => {
    await expect(append(entry, places)).rejects.toMatchObject({
      code: expect.stringMatching(/^22(023|007|008)$/) as string,
    });
    expect(await world.sql('SELECT 1 FROM audit_entries')).toEqual([]);
  });

  it('stops the time of no chain for good', async () => {
    await append(said, { at: '9999-01-01T00:00:00.000Z' });
    const found = await world.sql(
      `SELECT 1 FROM audit_entries WHERE (body ->> 'at')::timestamptz < now() + interval '25 hours'`,
    );
    expect(found).toHaveLength(1);
  });

  it('finds what has expired by its time alone', async () => {
    const { rows } = await attacker.query('SELECT tenant_id FROM idempotency_records WHERE expires_at > now()');
    expect(rows).toEqual([{ tenant_id: 'practice_theirs' }]);
  });
});
