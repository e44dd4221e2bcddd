// @ts-check
/** A million patients in 500 practices, and the statements of their lists, as the benches need them. */
import { readFileSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import { letAppend } from './audit.mjs';
import { exported } from './exported.mjs';

export const PRACTICES = 500;
/** @param {number} n From 0. */
export const practiceId = (n) => `practice_bench${String(n).padStart(3, '0')}`;
/** @param {number} practice @param {number} n From 0. */
export const patientId = (practice, n) => `pat_bench${String(practice).padStart(3, '0')}_${n}`;
const FIRST = ['Ada', 'Chiara', 'Émile', 'Grace', 'Jürgen', 'Miles', 'Nora', 'Óscar', 'Priya', 'Søren'];
const LAST = ['Andersson', 'Brown', 'García', 'Hopper', 'Lovelace', 'Müller', 'Núñez', 'O’Brien', 'Turing', 'Żak'];
/** What a front desk types. */
export const searches = ['hop', 'nunez', 'obrien', 'ada lov', 'soren', 'mul', 'turing 1', 'garcia', 'pri', 'zak'];

/**
 * Practices with so many patients each, once; a later run with the same figures finds them.
 * @param {string} superuserUrl @param {number} perPractice
 */
export async function seedPatients(superuserUrl, perPractice) {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    const { rows } = await client.query(`SELECT count(*)::int AS n FROM patients WHERE id LIKE 'pat\\_bench___\\_%'`);
    if (rows[0].n === PRACTICES * perPractice) return;
    await client.query(`DELETE FROM patient_search_terms WHERE practice_id ~ '^practice_bench[0-9]{3}$'`);
    await client.query(`DELETE FROM patients WHERE practice_id ~ '^practice_bench[0-9]{3}$'`);
    await client.query(
      `INSERT INTO practices (id, name, time_zone)
       SELECT 'practice_bench' || lpad(p::text, 3, '0'), 'Bench', 'UTC' FROM generate_series(0, $1::int - 1) p ON CONFLICT DO NOTHING`,
      [PRACTICES],
    );
    await client.query(
      `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, phone)
       SELECT 'practice_bench' || lpad(p::text, 3, '0'), format('pat_bench%s_%s', lpad(p::text, 3, '0'), n),
              ($3::text[])[1 + n % 10], ($4::text[])[1 + n / 10 % 10] || ' ' || n, '1950-01-01'::date + n * 7, '+1555' || lpad(n::text, 7, '0')
       FROM generate_series(0, $1::int - 1) p, generate_series(0, $2::int - 1) n`,
      [PRACTICES, perPractice, FIRST, LAST],
    );
    await client.query('VACUUM ANALYZE patients');
    await client.query('VACUUM ANALYZE patient_search_terms');
    await client.query('CHECKPOINT');
  } finally {
    await client.end();
  }
}

/**
 * Logins with the rights of the runtime role and of the writer of the audit log: one for pgbench, and one of whom no policy
 * asks anything. (A superuser is not asked for his rights either, which is no part of what the policies cost.)
 * @param {string} superuserUrl
 */
export async function readerLogins(superuserUrl) {
  const password = 'bench'; // of a server on the loopback that holds bench data alone
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    await client.query(
      `DO $$ BEGIN CREATE ROLE gatehouse_bench_reader LOGIN IN ROLE gatehouse_app, gatehouse_system; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
       DO $$ BEGIN CREATE ROLE gatehouse_bench_bypassing LOGIN IN ROLE gatehouse_app, gatehouse_system; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
       ALTER ROLE gatehouse_bench_reader PASSWORD '${password}'; ALTER ROLE gatehouse_bench_bypassing BYPASSRLS PASSWORD '${password}'`,
    );
    await letAppend(client, 'gatehouse_bench_reader');
    await client.query(
      `DROP TABLE IF EXISTS bench_tenants;
       CREATE TABLE bench_tenants AS SELECT id, signed_tenant(id) AS signed FROM practices WHERE id ~ '^practice_bench[0-9]{3}$';
       ALTER TABLE bench_tenants ADD PRIMARY KEY (id); GRANT SELECT ON bench_tenants TO gatehouse_bench_reader, gatehouse_bench_bypassing; ANALYZE bench_tenants`,
    );
    await client.query('ALTER TABLE audit_entries DISABLE TRIGGER append_only');
    await client.query(`DELETE FROM audit_entries WHERE practice_id = 'practice_bench_peer'`);
    await client.query('ALTER TABLE audit_entries ENABLE TRIGGER append_only');
  } finally {
    await client.end();
  }
  const [reader, bypassing] = ['gatehouse_bench_reader', 'gatehouse_bench_bypassing'].map((name) => {
    const url = new URL(superuserUrl);
    url.username = name;
    url.password = password;
    return url;
  });
  return { reader, bypassing };
}

/**
 * Writes a script for pgbench: patients.sql with a statement of the application. `one` is of the first practice, whose signed
 * name the variable `tenant` has; pages are of all practices in random order, whose signed names the script looks up, for
 * some 10 µs of a transaction, since it cannot sign them.
 * @param {'one' | 'list' | 'search'} what @param {string} file
 */
export async function writeScript(what, file) {
  const statement = (await exported('domains/patients/patients.statements.js', what))[0];
  const words = `((ARRAY[${searches.map((words) => `'${words}'`).join(', ')}])[:words])`;
  const random = `('practice_bench' || lpad(:practice::text, 3, '0'))`;
  const values =
    what === 'one'
      ? [`'${practiceId(0)}'`, `('${patientId(0, 0).slice(0, -1)}' || :p::text)`]
      : [random, '21', words, 'NULL'];
  /** @type {Record<string, string>} */
  const filled = {
    tenant: what === 'one' ? ':tenant' : `(SELECT signed FROM bench_tenants WHERE id = ${random})`,
    searches: String(searches.length),
    statement: /** @type {string} */ ((statement.first ?? statement).text)
      .replace(/\$(\d)/g, (_, n) => values[Number(n) - 1] ?? `$${n}`)
      .replaceAll(':MI:SS', ''), // which pgbench would take for variables
  };
  const template = readFileSync(new URL('patients.sql', import.meta.url), 'utf8');
  writeFileSync(
    file,
    template.replace(/\{(\w+)\}/g, (_, name) => filled[name] ?? `{${name}}`),
  );
}

/**
 * A statement again and again on one connection.
 * @param {{ url: string, statement: 'one' | 'list' | 'search' }} config the role of `url` decides whether the policies hold
 */
export async function create({ url, statement }) {
  const [one, list, search] = await exported('domains/patients/patients.statements.js', 'one', 'list', 'search');
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  // As the application's connections plan.
  await client.query('SET plan_cache_mode = force_generic_plan');
  await client.query(`SELECT set_config('gatehouse.tenant', signed, false) FROM bench_tenants WHERE id = $1`, [
    practiceId(7),
  ]);
  const texts = { one, list: list.first, search: search.first };
  const { name, text } = texts[statement];
  return {
    operate: (/** @type {number} */ i) => {
      const values = {
        one: [practiceId(7), patientId(7, i % 2000)],
        list: [practiceId(7), 21],
        search: [practiceId(7), 21, searches[i % searches.length], null],
      };
      return client.query({ name, text, values: values[statement] });
    },
    close: () => client.end(),
  };
}
