-- One reading of a patient with its audit entry in the same transaction, for pgbench: tenant setting, select, audit insert, commit. The
-- select is that of domains/patients/patients.statements.ts, the entry that of ours/audit.sql.
-- (chr(58): pgbench would take a colon before a letter for a variable.)
\set i :i + 1
\set n :base + :client_id * :stride + :i
\set p random(0, 1999)
\startpipeline
BEGIN;
SELECT set_config('gatehouse.tenant', :tenant, true);
SELECT p.id, p.first_name AS "firstName", p.last_name AS "lastName", p.date_of_birth::text AS "dateOfBirth",
  p.phone, p.email, p.insurance_provider AS "insuranceProvider",
  (SELECT to_char(min(s.starts_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24') FROM appointments a
     JOIN slots s ON s.practice_id = a.practice_id AND s.id = a.slot_id
     WHERE a.practice_id = p.practice_id AND a.patient_id = p.id AND a.status = 'confirmed' AND s.starts_at > now()
  ) AS "nextAppointment",
  (SELECT to_char(max(s.starts_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24') FROM appointments a
     JOIN slots s ON s.practice_id = a.practice_id AND s.id = a.slot_id
     WHERE a.practice_id = p.practice_id AND a.patient_id = p.id AND a.status <> 'cancelled' AND s.starts_at <= now()
  ) AS "lastVisit"
FROM patients p WHERE p.practice_id = 'practice_bench000' AND p.id = 'pat_bench000_' || :p::text;
INSERT INTO audit_entries (body, hash)
VALUES (replace(replace(replace(
  '{"v"=1,"practice"="practice_bench_peer","seq"=@n,"id"="aud_01jz0000000000000000000001","at"="2026-01-01T00=00=00.000Z","actor"="user_bench","clientId"="client_bench","role"="scheduling_agent","action"="patient.read","outcome"="allowed","code"=null,"route"="GET /patients/=id","subjects"=["pat_bench000_@p"],"subjectPractice"=null,"detail"=null,"correlationId"="0d5c0b52-7a1e-4c0b-9c4d-3f0a6f1f1f11","requestId"="0d5c0b52-7a1e-4c0b-9c4d-3f0a6f1f1f11","ip"="203.0.113.7"}',
  '=', chr(58)), '@n', :n::text), '@p', :p::text)::json, sha256('bench'));
COMMIT;
\endpipeline
