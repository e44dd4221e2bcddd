-- A bare insert into the table of the messages, for pgbench: no limit, no tenant, no look at the channel.
\set i :i + 1
\set w random(0, 399)
INSERT INTO messages (workspace_id, channel_id, ts, user_id, app_id, text)
VALUES ('TBENCH' || lpad(:w::text, 3, '0'), 'CBENCH' || lpad(:w::text, 3, '0'), :base::bigint + :client_id::bigint * 100000000 + :i, 'UBENCH000', 'peer', 'Hello from the bench');
