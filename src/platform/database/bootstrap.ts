import { Client, escapeIdentifier, escapeLiteral } from 'pg';

export interface Logins {
  readonly owner: { readonly name: string; readonly password: string };
  readonly app: { readonly name: string; readonly password: string };
  readonly system: { readonly name: string; readonly password: string };
}

/**
 * Makes the database and the three logins on a server of our own (embedded, tests): the owner of the tables, the runtime
 * role that owns nothing, and the role for cross-tenant work. Doing it again changes nothing but the passwords.
 */
export async function bootstrap(superuserUrl: string, database: string, logins: Logins): Promise<void> {
  const client = new Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock(7204815332)');
    for (const group of ['gatehouse_app', 'gatehouse_system', 'gatehouse_lookup']) {
      await client.query(ifAbsent(`CREATE ROLE ${group} NOLOGIN`));
    }
    const { owner, app, system } = logins;
    for (const { name } of [owner, app, system]) await client.query(ifAbsent(`CREATE ROLE ${escapeIdentifier(name)}`));
    await client.query(alter(owner, 'CREATEROLE'));
    await client.query(alter(app, ''));
    await client.query(alter(system, ''));
    await client.query(`GRANT gatehouse_app TO ${escapeIdentifier(app.name)}`);
    await client.query(`GRANT gatehouse_system TO ${escapeIdentifier(system.name)}`);
    await client.query(
      `GRANT gatehouse_lookup TO ${escapeIdentifier(owner.name)} WITH ADMIN TRUE, INHERIT FALSE, SET TRUE`,
    );
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
    if (rowCount === 0) {
      await client.query(`CREATE DATABASE ${escapeIdentifier(database)} OWNER ${escapeIdentifier(owner.name)}`);
    }
    // Without it everybody may make temporary tables, which stand in front of those that they are named like.
    await client.query(`REVOKE ALL ON DATABASE ${escapeIdentifier(database)} FROM PUBLIC`);
    await client.query(`GRANT CONNECT ON DATABASE ${escapeIdentifier(database)} TO gatehouse_app, gatehouse_system`);
  } finally {
    await client.end();
  }
  const inside = new URL(superuserUrl);
  inside.pathname = `/${database}`;
  const within = new Client({ connectionString: inside.href });
  await within.connect();
  try {
    // It lists a session's prepared statements, whose names on our connections are not to be known.
    await within.query('REVOKE EXECUTE ON FUNCTION pg_catalog.pg_prepared_statement() FROM PUBLIC');
  } finally {
    await within.end();
  }
}

function alter({ name, password }: Logins['owner'], attributes: string): string {
  return `ALTER ROLE ${escapeIdentifier(name)} LOGIN NOSUPERUSER NOBYPASSRLS ${attributes} PASSWORD ${escapeLiteral(password)}`;
}

function ifAbsent(createRole: string): string {
  return `DO $$ BEGIN ${createRole}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`;
}
