import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The names of tenants that were checked before the key was in the check's plan. Alone, since a transaction that began before
 * that read these, and may yet want any other table. (Where `FoldTenantKey` ran in its first form, they are gone.)
 */
export class ForgetTenantCodes1764000000590 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('DROP FUNCTION IF EXISTS remember_tenants(text[]); DROP TABLE IF EXISTS tenant_codes;');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Tenants stay signed'));
  }
}
