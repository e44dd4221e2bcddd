import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Lets the role for cross-tenant work see which workspaces there are: an operator's program is recorded before it reads one. */
export class FindWorkspaces1764000000410 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE POLICY system ON workspaces FOR SELECT TO gatehouse_system USING (true);
      GRANT SELECT (id) ON workspaces TO gatehouse_system;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      REVOKE SELECT (id) ON workspaces FROM gatehouse_system;
      DROP POLICY system ON workspaces;
    `);
  }
}
