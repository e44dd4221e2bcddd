import { type Statement, statement } from '../../platform/database';
import type { Patient } from './entities/patient.entity';

/** Read for the rows of a page alone: the two subselects stand outside of whatever sorts and cuts. */
const columns = `
  p.id, p.practice_id AS "practiceId", p.first_name AS "firstName", p.last_name AS "lastName", p.date_of_birth::text AS "dateOfBirth",
  p.phone, p.email, p.insurance_provider AS "insuranceProvider",
  (SELECT to_char(min(s.starts_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') FROM appointments a
     JOIN slots s ON s.practice_id = a.practice_id AND s.id = a.slot_id
     WHERE a.practice_id = p.practice_id AND a.patient_id = p.id AND a.status = 'confirmed' AND s.starts_at > now()
  ) AS "nextAppointment",
  (SELECT to_char(max(s.starts_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') FROM appointments a
     JOIN slots s ON s.practice_id = a.practice_id AND s.id = a.slot_id
     WHERE a.practice_id = p.practice_id AND a.patient_id = p.id AND a.status <> 'cancelled' AND s.starts_at <= now()
  ) AS "lastVisit"`;

const stored = `p.practice_id, p.id, p.first_name, p.last_name, p.date_of_birth, p.phone, p.email, p.insurance_provider`;

/** The first page of a list and those after a patient: two texts, so that each uses its index from its first row on. */
export interface Pages {
  /** $1 practice, $2 rows, then what the list asks for. */
  readonly first: Statement<Patient>;
  /** As `first`, and as the last value the id of the patient behind whom it begins. */
  readonly after: Statement<Patient>;
}

/** @param asked how many values the condition takes, from $3 on */
function pages(name: string, asked: number, from: string, condition: string, before = ''): Pages {
  const text = (behind: string) => `
    WITH ${before} page AS MATERIALIZED (
      SELECT ${stored} FROM ${from} WHERE p.practice_id = $1 ${condition} ${behind}
      ORDER BY p.last_name, p.first_name, p.id LIMIT $2
    )
    SELECT ${columns} FROM page p ORDER BY p.last_name, p.first_name, p.id`;
  const last = `$${asked + 3}`;
  return {
    first: statement(`patients.${name}`, text('')),
    after: statement(
      `patients.${name}-after`,
      text(`AND (p.last_name, p.first_name, p.id) > (
        SELECT l.last_name, l.first_name, l.id FROM patients l WHERE l.practice_id = $1 AND l.id = ${last})`),
    ),
  };
}

/**
 * Each word is a range of terms: `stop` is the word followed by the greatest code point. It is computed in a part of its own,
 * since a condition that concatenates is not leakproof, and row-level security would keep it from the index.
 */
const found = `
  words AS MATERIALIZED (
    SELECT word COLLATE "C" AS word, (word || chr(1114111)) COLLATE "C" AS stop
    FROM (SELECT words_of_search($3) UNION SELECT words_of_phone($4)) AS given (word)
  ), found AS MATERIALIZED (
    SELECT matching.patient_id FROM words CROSS JOIN LATERAL (
      SELECT DISTINCT t.patient_id FROM patient_search_terms t
      WHERE t.practice_id = $1 AND t.term >= words.word AND t.term < words.stop
    ) AS matching
    GROUP BY matching.patient_id HAVING count(*) = (SELECT count(*) FROM words)
  ),`;

export const list = pages('list', 0, 'patients p', '');
/** $3 date of birth. */
export const bornOn = pages('born-on', 1, 'patients p', 'AND p.date_of_birth = $3::date');
/** $3 words or null, $4 phone or null, $5 date of birth or null. */
export const search = pages(
  'search',
  3,
  'found JOIN patients p ON p.id = found.patient_id',
  'AND ($5::date IS NULL OR p.date_of_birth = $5::date)',
  found,
);

export const one = statement<Patient>(
  'patients.one',
  `SELECT ${columns} FROM patients p WHERE p.practice_id = $1 AND p.id = $2`,
);

export const practiceOf = statement<{ practiceId: string | null }>(
  'patients.practice-of',
  `SELECT practice_of_patient($1) AS "practiceId"`,
);

/** $1 practice, $2 id, $3 the columns as an object, $4 names of fields, $5–$7 the event: ids and names, no PHI. */
export const create = statement(
  'patients.create',
  `WITH created AS (
     INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, phone, email, insurance_provider,
       ssn_encrypted, notes_encrypted)
     SELECT $1, $2, first_name, last_name, date_of_birth, phone, email, insurance_provider, ssn_encrypted, notes_encrypted
     FROM jsonb_to_record($3::jsonb) AS given (first_name text, last_name text, date_of_birth date, phone text,
       email text, insurance_provider text, ssn_encrypted text, notes_encrypted text)
   )
   INSERT INTO outbox_events (id, tenant_id, type, payload, correlation_id, traceparent)
   VALUES ($5, $1, 'patient.created', jsonb_build_object('patientId', $2::text, 'fields', $4::jsonb), $6, $7)`,
);

/**
 * What the object does not name keeps the value that the row has once it is locked, so that two changes of different
 * fields lose nothing. (Joined to its former self, the row would bring back what it had before the lock.)
 */
const kept = (column: string, type = 'text') =>
  `${column} = CASE WHEN $3::jsonb ? '${column}' THEN ($3::jsonb ->> '${column}')::${type} ELSE p.${column} END`;

/** As `create`; no row where the practice has no such patient. */
export const update = statement<Patient>(
  'patients.update',
  `WITH changed AS (
     UPDATE patients p SET ${kept('first_name')}, ${kept('last_name')}, ${kept('date_of_birth', 'date')}, ${kept('phone')},
       ${kept('email')}, ${kept('insurance_provider')}, ${kept('ssn_encrypted')}, ${kept('notes_encrypted')},
       updated_at = now()
     WHERE p.practice_id = $1 AND p.id = $2
     RETURNING ${stored}
   ), event AS (
     INSERT INTO outbox_events (id, tenant_id, type, payload, correlation_id, traceparent)
     SELECT $5, $1, 'patient.updated', jsonb_build_object('patientId', id, 'fields', $4::jsonb), $6, $7 FROM changed
   )
   SELECT ${columns} FROM changed p`,
);
