-- One audit entry a transaction, without a chain, for pgbench: the columns and indexes are those of migrations/…-AddAudit.ts, the text has
-- the length of an entry of ours. Change them there, and change them here. (chr(58): pgbench would take a colon before a
-- letter for a variable.)
\set i :i + 1
\set n :base + :client_id * :stride + :i
\set u random(0, 999)
\set p random(0, 99999)
INSERT INTO audit_entries (body, hash)
VALUES (replace(replace(replace(replace(
  '{"v"=1,"practice"="practice_bench_peer","seq"=@n,"id"="aud_01jz0000000000000000000001","at"="2026-01-01T00=00=00.000Z","actor"="user_01jz00000000000000000@u","clientId"="app_frontdesk","role"="scheduling_agent","action"="patient.read","outcome"="allowed","code"=null,"route"="GET /patients/=id","subjects"=["pat_01jz000000000000000@p"],"subjectPractice"=null,"detail"=null,"correlationId"="0d5c0b52-7a1e-4c0b-9c4d-3f0a6f1f1f11","requestId"="0d5c0b52-7a1e-4c0b-9c4d-3f0a6f1f1f11","ip"="203.0.113.7"}',
  '=', chr(58)), '@n', :n::text), '@u', lpad(:u::text, 5, '0')), '@p', lpad(:p::text, 7, '0'))::json, sha256('bench'));
