-- One booking as Gatehouse sends it, for pgbench: the statements, their order and what travels together are those of
-- policy/idempotency/idempotency.store.ts, domains/bookings/bookings.repository.ts and platform/database/transaction.ts.
-- Change them there, and change them here. (chr(58): pgbench would take a colon before a letter for a variable, in a string too.)
\set i :i + 1
\set n :base + :client_id * :stride + :i
\set p :n % 1000
\startpipeline
BEGIN;
SELECT set_config('gatehouse.tenant', :tenant, true);
SELECT pg_advisory_xact_lock(hashtextextended(:n::text, 0));
SELECT request_hash AS "requestHash", status, body FROM idempotency_records
 WHERE tenant_id = 'practice_bench' AND key_hash = sha256(('key' || :n::text)::bytea) AND expires_at > now();
\endpipeline
WITH slot AS (
  UPDATE slots SET status = 'booked'
  WHERE practice_id = 'practice_bench' AND id = 'slot_bench' || lpad(:n::text, 10, '0') AND status = 'available' AND starts_at > now()
    AND EXISTS (SELECT FROM patients WHERE practice_id = 'practice_bench' AND id = 'pat_bench' || lpad(:p::text, 10, '0'))
  RETURNING id, date::text AS date, to_char(time, 'HH24' || chr(58) || 'MI') AS time, starts_at
), appointment AS (
  INSERT INTO appointments (practice_id, id, patient_id, slot_id, starts_at, type, booked_by)
  SELECT 'practice_bench', 'appt_bench' || lpad(:n::text, 10, '0'), 'pat_bench' || lpad(:p::text, 10, '0'), id, starts_at, 'comprehensive_exam', 'user_bench' FROM slot
), event AS (
  INSERT INTO outbox_events (id, tenant_id, type, payload, correlation_id, traceparent)
  SELECT 'evt_bench' || lpad(:n::text, 10, '0'), 'practice_bench', 'appointment.booked', jsonb_build_object(
    'appointmentId', 'appt_bench' || lpad(:n::text, 10, '0'), 'patientId', 'pat_bench' || lpad(:p::text, 10, '0'), 'slotId', id, 'type', 'comprehensive_exam', 'date', date, 'time', time
  ), 'correlation-bench', NULL FROM slot
)
SELECT date, time FROM slot;
\startpipeline
INSERT INTO idempotency_records (tenant_id, key_hash, request_hash, status, body, expires_at)
VALUES ('practice_bench', sha256(('key' || :n::text)::bytea), sha256(('request' || :n::text)::bytea), 201,
        '{"appointmentId":"appt_bench0000000000","status":"confirmed","date":"2026-04-24","time":"10:00","type":"comprehensive_exam"}', now() + interval '24 hours')
ON CONFLICT (tenant_id, key_hash) DO UPDATE
  SET request_hash = excluded.request_hash, status = excluded.status, body = excluded.body, expires_at = excluded.expires_at;
COMMIT;
\endpipeline
