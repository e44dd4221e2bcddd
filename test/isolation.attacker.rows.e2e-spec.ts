import type { Client } from 'pg';
import { Attack, noPrivilege } from './support/attack';
import { attacks, attacksOutside } from './support/attacks';
import type { World } from './support/world';

/**
 * Someone who can run any SQL as the runtime role, for a request of his own tenant. What he must not get is past row-level
 * security: another tenant’s rows, the owner’s or the system’s rights, the server’s files, the audit log.
 */
describe('an attacker with the runtime role’s connection', () => {
  const attack = Attack.forTests();
  let world: World;
  let attacker: Client;

  beforeAll(() => {
    ({ world, attacker } = attack());
  });

  it.each(attacks)('is refused: %s', async (text) => {
    const { code } = await attack().refusal(text);
    expect([text, code]).toEqual([text, noPrivilege]);
  });

  it.each(['id', 'type', 'correlation_id', 'traceparent', 'payload'])(
    'puts no %s into the outbox that is too long for those who read the events of all',
    async (column) => {
      const row = { id: 'evt_x', type: 't', correlation_id: 'c', traceparent: '', payload: '{}' };
      const insert = (of: string) =>
        `INSERT INTO outbox_events (tenant_id, id, type, correlation_id, traceparent, payload)
         SELECT 'practice_ours', id, type, correlation_id, traceparent, payload FROM jsonb_to_record('${JSON.stringify(row)}' || ${of})
         AS given (id text, type text, correlation_id text, traceparent text, payload jsonb)`;
      const { code } = await attack().refusal(insert(`jsonb_build_object('${column}', repeat('x', 100000))`));
      expect(code).toBe('23514');
      expect((await attack().refusal(insert(`'{"id":null}'::jsonb`))).code).toBe('23502'); // another flaw: it is the length that was refused
    },
  );

  it.each(attacksOutside)('is refused: %s', async (text) => {
    const refused = attacker.query(text);
    await expect(refused).rejects.toMatchObject({ code: noPrivilege });
  });

  it('changes no foreign row by a statement that names it', async () => {
    await attack().as('practice_ours');
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
    const { code, detail, message } = await attack().refusal(takeover);
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
    const { code, detail, message } = await attack().refusal(insert('pat_theirs1'));
    // No key, no row in it: what it tells beyond "taken" is nothing, and practice_of_patient says that much by design.
    expect([code, detail]).toEqual(['23P01', 'Key conflicts with existing key.']);
    expect(message).not.toMatch(/theirs/);

    const appointment = (patient: string, slot: string) =>
      `INSERT INTO appointments (practice_id, id, patient_id, slot_id, starts_at, type, booked_by)
       SELECT 'practice_ours', 'appt_x', '${patient}', '${slot}', max(starts_at), 'follow_up', 'u' FROM slots WHERE id = 'slot_ours130'`;
    const said = async (text: string) => {
      const error = await attack().refusal(text);
      return [error.code, error.message, error.detail?.replace(/\([\w, ]+\)=\([^)]*\)/, '…')];
    };
    expect(await said(appointment('pat_theirs1', 'slot_ours130'))).toEqual(
      await said(appointment('pat_nobody', 'slot_ours130')),
    );
    expect(await said(appointment('pat_ours1', 'slot_theirs130'))).toEqual(
      await said(appointment('pat_ours1', 'slot_nobody')),
    );
    // Without a time, which a trigger then looks up.
    const untimed = (slot: string) =>
      `INSERT INTO appointments (practice_id, id, patient_id, slot_id, type, booked_by)
       VALUES ('practice_ours', 'appt_x', 'pat_ours1', '${slot}', 'follow_up', 'u')`;
    const untold = await said(untimed('slot_nobody'));
    expect(untold[0]).toBe('23502');
    expect(await said(untimed('slot_theirs130'))).toEqual(untold);
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
    await attack().mayMakeTemporary('GRANT');
    await attack().as('practice_ours');
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
    await attack().mayMakeTemporary('REVOKE');
  });

  it('is not told what his session prepared, and so puts nothing in its place', async () => {
    const listed = await attack().refusal('SELECT name FROM pg_prepared_statements');
    expect(listed.code).toBe(noPrivilege);
  });

  it('smuggles no function of his own before the policy', async () => {
    const seen: string[] = [];
    attacker.on('notice', ({ message }) => seen.push(message ?? ''));
    await attack().mayMakeTemporary('GRANT');
    await attack().as('practice_ours');
    await attacker.query(
      `CREATE FUNCTION pg_temp.leak(value text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql AS
       $$ BEGIN RAISE NOTICE 'leak %', value; RETURN true; END $$`,
    );
    await attacker.query('SELECT count(*) FROM public.patients WHERE pg_temp.leak(first_name) AND pg_temp.leak(id)');
    expect(seen.filter((line) => line.includes('ours')).length).toBeGreaterThan(0); // it was called for his own rows
    expect(seen.filter((line) => line.includes('theirs'))).toEqual([]);
    await attacker.query('ROLLBACK');
    const marked = await attack().refusal(
      `CREATE FUNCTION pg_temp.leak(value text) RETURNS boolean LEAKPROOF LANGUAGE sql RETURN true`,
    );
    expect(marked.code).toBe('42501');
    await attack().mayMakeTemporary('REVOKE');
    // A value that fails in an expression would stand in the error's text.
    await attack().as('practice_ours');
    const cast = attacker.query(`SELECT 1 FROM public.patients WHERE id = 'pat_theirs1' AND first_name::int = 1`);
    expect((await cast).rows).toEqual([]);
  });

  it('reads no value in the statistics of tables under row-level security', async () => {
    await attack().as('practice_ours');
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
