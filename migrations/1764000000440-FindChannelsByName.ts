import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Channels are found by name through an index that begins with the name. Beginning with the workspace it could also serve to
 * find one by its id, by reading all channels of the workspace; and where workspaces have few of them on the average, Postgres
 * takes that for as good as the primary key.
 */
export class FindChannelsByName1764000000440 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE channels ADD CONSTRAINT channels_name_in_workspace UNIQUE (name, workspace_id);
      ALTER TABLE channels DROP CONSTRAINT channels_workspace_id_name_key;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE channels ADD CONSTRAINT channels_workspace_id_name_key UNIQUE (workspace_id, name);
      ALTER TABLE channels DROP CONSTRAINT channels_name_in_workspace;
    `);
  }
}
