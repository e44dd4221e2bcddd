import type { Client, DatabaseError } from 'pg';
import { call, tokenFor } from './api';
import type { GateProcess } from './process';
import { seedSubjects } from './route-requests';
import { World } from './world';

/** SQLSTATE of what lacks a privilege or fails row-level security. */
export const noPrivilege = '42501';

/** A world of two practices, and someone in it who can run any SQL as the runtime role, for a request of his own tenant. */
export class Attack {
  private constructor(
    readonly world: World,
    /** A process at work, as which he is logged in. */
    readonly gate: GateProcess,
    readonly attacker: Client,
    private before: unknown,
  ) {}

  /** The one of the suite that asks, made before its tests. After each of them all is as it was, whatever he did. */
  static forTests(): () => Attack {
    let attack: Attack;
    beforeAll(async () => {
      attack = await Attack.prepare();
    }, 120_000);
    afterEach(async () => {
      await attack.attacker.query('ROLLBACK');
      expect(await attack.everything()).toEqual(attack.before);
    });
    afterAll(async () => {
      await attack.attacker.end();
      await attack.world.end();
    });
    return () => attack;
  }

  private static async prepare(): Promise<Attack> {
    const world = await World.create();
    await seedSubjects(world, 'ours');
    await seedSubjects(world, 'theirs');
    const gate = await world.start({ GATEHOUSE_ROLE: 'api' });
    for (const practice of ['ours', 'theirs']) {
      const claims = { sub: 'user_a', practice_id: `practice_${practice}`, role: 'practice_admin' };
      const token = await tokenFor(gate, claims);
      expect((await call(gate, `/patients/pat_${practice}1`, { token })).status).toBe(200);
      const nothing = await tokenFor(gate, { ...claims, role: 'operator' });
      await call(gate, '/usage-plans/app_a', { token: nothing, method: 'PUT', body: { plan: 'enterprise' } });
    }
    await world.sql('VACUUM (ANALYZE)'); // which autovacuum would do between two looks
    const attack = new Attack(world, gate, await world.runtimeClient(), undefined);
    await attack.accept();
    return attack;
  }

  /** What was changed so far was none of his doing. */
  async accept(): Promise<void> {
    this.before = await this.everything();
  }

  /** All there is, as the superuser sees it: rows, and what the catalogue says of tables, policies, functions, roles. */
  private async everything(): Promise<unknown> {
    const tables = await this.world.sql<{ name: string }>(
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
    return this.world.sql([...rows, ...catalogue].join(' UNION ALL '));
  }

  /** As the application would begin a transaction of that tenant. */
  async as(tenant: string): Promise<void> {
    await this.attacker.query(`BEGIN; SET LOCAL gatehouse.tenant = '${await this.world.signed(tenant)}'`);
  }

  /** What there is to be read, but for whose it may be. */
  async relations(): Promise<{ readonly name: string; readonly isReadable: boolean }[]> {
    const { rows } = await this.attacker.query<{ name: string; isReadable: boolean }>(
      `SELECT quote_ident(relname) AS name, has_table_privilege(oid, 'SELECT') AS "isReadable"
       FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm') ORDER BY 1`,
    );
    return rows;
  }

  /** What Postgres says to a statement that it refuses. */
  async refusal(text: string, tenant = 'practice_ours'): Promise<DatabaseError> {
    await this.as(tenant);
    try {
      const { rows } = await this.attacker.query(text);
      throw new Error(`Postgres did it: ${text}: ${JSON.stringify(rows)}`);
    } catch (error) {
      if ((error as Partial<DatabaseError>).severity === undefined) throw error;
      return error as DatabaseError;
    } finally {
      await this.attacker.query('ROLLBACK');
    }
  }

  /** As on a database where nobody took it from everybody. */
  async mayMakeTemporary(how: 'GRANT' | 'REVOKE'): Promise<void> {
    const [row] = await this.world.sql<{ name: string }>('SELECT current_database() AS name');
    await this.world.sql(`${how} TEMP ON DATABASE ${row?.name} ${how === 'GRANT' ? 'TO' : 'FROM'} gatehouse_api`);
  }

  async countsBy(text: string): Promise<unknown[]> {
    return (await this.attacker.query<{ n: number }>(text)).rows;
  }
}
