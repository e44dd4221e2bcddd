import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Workspaces with their users, channels and messages, each under row-level security. */
export class AddMessaging1764000000400 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE workspaces (
        id         text PRIMARY KEY,
        name       text NOT NULL,
        domain     text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
      );

      CREATE TABLE workspace_users (
        workspace_id text NOT NULL REFERENCES workspaces,
        id           text NOT NULL,
        name         text NOT NULL,
        real_name    text NOT NULL,
        -- The app whose bot it is.
        app_id       text,
        is_admin     boolean NOT NULL DEFAULT false,
        deleted      boolean NOT NULL DEFAULT false,
        updated_at   timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (workspace_id, id)
      );

      CREATE TABLE channels (
        workspace_id text NOT NULL REFERENCES workspaces,
        id           text NOT NULL,
        name         text NOT NULL,
        is_private   boolean NOT NULL DEFAULT false,
        is_archived  boolean NOT NULL DEFAULT false,
        is_general   boolean NOT NULL DEFAULT false,
        creator      text NOT NULL,
        num_members  integer NOT NULL DEFAULT 0,
        created_at   timestamptz NOT NULL DEFAULT now(),
        -- Microseconds since 1970 of the newest message. Whoever posts holds this row until the commit, so messages become
        -- visible in the order of their times: who reads on from the newest one misses none.
        last_ts      bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (workspace_id, id),
        UNIQUE (workspace_id, name),
        FOREIGN KEY (workspace_id, creator) REFERENCES workspace_users
      ) WITH (fillfactor = 50);

      CREATE TABLE channel_members (
        workspace_id text NOT NULL,
        channel_id   text NOT NULL,
        user_id      text NOT NULL,
        joined_at    timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (workspace_id, channel_id, user_id),
        FOREIGN KEY (workspace_id, channel_id) REFERENCES channels,
        FOREIGN KEY (workspace_id, user_id) REFERENCES workspace_users
      );

      CREATE TABLE messages (
        workspace_id text NOT NULL,
        channel_id   text NOT NULL,
        -- Microseconds since 1970: the name of a message in its channel, 'seconds.micros' on the wire.
        ts           bigint NOT NULL,
        user_id      text NOT NULL,
        app_id       text NOT NULL,
        text         text NOT NULL,
        -- The message that this one replies to; unset for one that stands in the channel itself.
        thread_ts    bigint,
        reply_count  integer NOT NULL DEFAULT 0,
        latest_reply bigint,
        edited_ts    bigint,
        -- Kept without its text while it has replies.
        is_tombstone boolean NOT NULL DEFAULT false,
        PRIMARY KEY (workspace_id, channel_id, ts),
        FOREIGN KEY (workspace_id, channel_id) REFERENCES channels
      ) WITH (fillfactor = 90);
      CREATE INDEX messages_of_channel ON messages (workspace_id, channel_id, ts) WHERE thread_ts IS NULL;
      CREATE INDEX messages_of_thread ON messages (workspace_id, channel_id, thread_ts, ts) WHERE thread_ts IS NOT NULL;

      ALTER TABLE workspaces ENABLE ROW LEVEL SECURITY;
      ALTER TABLE workspaces FORCE ROW LEVEL SECURITY;
      CREATE POLICY tenant ON workspaces USING (id = current_setting('gatehouse.tenant', true));
      DO $$
      DECLARE target text;
      BEGIN
        FOREACH target IN ARRAY ARRAY['workspace_users', 'channels', 'channel_members', 'messages'] LOOP
          EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target);
          EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', target);
          EXECUTE format(
            'CREATE POLICY tenant ON %I
               USING (workspace_id = current_setting(''gatehouse.tenant'', true))', target);
        END LOOP;
      END $$;

      GRANT SELECT ON workspaces, workspace_users TO gatehouse_app;
      GRANT SELECT, INSERT, UPDATE ON channels TO gatehouse_app;
      GRANT SELECT, INSERT ON channel_members TO gatehouse_app;
      GRANT SELECT, INSERT, UPDATE, DELETE ON messages TO gatehouse_app;
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('Messages are not thrown away: restore a backup instead'));
  }
}
