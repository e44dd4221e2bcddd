-- A reading of patients with its audit entry in the same transaction, for pgbench: tenant setting, select, audit insert, commit. What
-- stands in braces is filled in by ours/patients.mjs, with a statement of domains/patients/patients.statements.ts; the entry is
-- that of ours/audit.sql. (chr(58): pgbench would take a colon before a letter for a variable.)
\set i :i + 1
\set n :base + :client_id * :stride + :i
\set p random(0, 1999)
\set practice random(0, 499)
\set words random(1, {searches})
\startpipeline
BEGIN;
SELECT set_config('gatehouse.tenant', {tenant}, true);
{statement};
INSERT INTO audit_entries (body, hash)
VALUES (replace(replace(replace(
  '{"v"=1,"practice"="practice_bench_peer","seq"=@n,"id"="aud_01jz0000000000000000000001","at"="2026-01-01T00=00=00.000Z","actor"="user_bench","clientId"="client_bench","role"="scheduling_agent","action"="patient.read","outcome"="allowed","code"=null,"route"="GET /patients/=id","subjects"=["pat_bench000_@p"],"subjectPractice"=null,"detail"=null,"correlationId"="0d5c0b52-7a1e-4c0b-9c4d-3f0a6f1f1f11","requestId"="0d5c0b52-7a1e-4c0b-9c4d-3f0a6f1f1f11","ip"="203.0.113.7"}',
  '=', chr(58)), '@n', :n::text), '@p', :p::text)::json, sha256('bench'));
COMMIT;
\endpipeline
