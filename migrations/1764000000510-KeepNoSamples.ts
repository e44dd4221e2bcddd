import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What people typed, and what was answered: no statement is planned by their values. */
const columns = {
  practices: ['name'],
  staff: ['name'],
  patients: [
    'first_name',
    'last_name',
    'date_of_birth',
    'phone',
    'email',
    'insurance_provider',
    'ssn_encrypted',
    'notes_encrypted',
  ],
  patient_search_terms: ['term', 'last_name', 'first_name'],
  idempotency_records: ['body', 'request_hash', 'key_hash'],
  workspaces: ['name', 'domain'],
  workspace_users: ['name', 'real_name'],
  channels: ['name'],
  messages: ['text'],
};

/**
 * The planner keeps samples of a column's values, of all tenants, and believes them under row-level security, too, where the
 * operator is leakproof: the estimates that EXPLAIN shows would tell them, value by value.
 */
export class KeepNoSamples1764000000510 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const [table, names] of Object.entries(columns)) {
      const changes = names.map((name) => `ALTER COLUMN ${name} SET STATISTICS 0`);
      await runner.query(`ALTER TABLE ${table} ${changes.join(', ')}`);
      for (const name of names)
        await runner.query(`SELECT pg_clear_attribute_stats('public', '${table}', '${name}', false)`);
    }
  }

  down(): Promise<void> {
    return Promise.reject(new Error('No samples are kept'));
  }
}
