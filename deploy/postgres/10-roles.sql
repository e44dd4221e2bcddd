-- Runs once, as the superuser, when the volume is empty (docker-entrypoint-initdb.d), and needs psql 15 or later. On a
-- Postgres of your own: the same file, the same three variables, `psql -v ON_ERROR_STOP=1 -f 10-roles.sql`.
-- Does what src/platform/database/bootstrap.ts does for the embedded Postgres.
\getenv owner_password GATEHOUSE_OWNER_PASSWORD
\getenv api_password GATEHOUSE_API_PASSWORD
\getenv relay_password GATEHOUSE_RELAY_PASSWORD

-- What the tables are granted to; the migrations create them only where they are missing.
CREATE ROLE gatehouse_app NOLOGIN;
CREATE ROLE gatehouse_system NOLOGIN;
CREATE ROLE gatehouse_lookup NOLOGIN;

-- Owns the tables and runs the migrations. CREATEROLE: the first migration makes the groups on servers that lack them.
CREATE ROLE gatehouse_owner LOGIN NOSUPERUSER NOBYPASSRLS CREATEROLE PASSWORD :'owner_password';
-- The runtime role: owns nothing, sees one tenant at a time.
CREATE ROLE gatehouse_api LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'api_password';
-- Cross-tenant work: the relay, schedulers, revocations.
CREATE ROLE gatehouse_relay LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'relay_password';

GRANT gatehouse_app TO gatehouse_api;
GRANT gatehouse_system TO gatehouse_relay;
-- The owner hands two functions to this role, without having its rights by itself.
GRANT gatehouse_lookup TO gatehouse_owner WITH ADMIN TRUE, INHERIT FALSE, SET TRUE;

CREATE DATABASE gatehouse OWNER gatehouse_owner;
REVOKE ALL ON DATABASE gatehouse FROM PUBLIC;
GRANT CONNECT ON DATABASE gatehouse TO gatehouse_app, gatehouse_system;

\connect gatehouse
-- It lists a session's prepared statements: SQL that somebody smuggles into one could put others under their names.
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_prepared_statement() FROM PUBLIC;
