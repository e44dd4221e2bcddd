import { type Statement, statement } from '../../platform/database';
import type { Patient } from './entities/patient.entity';

const columns = `
  p.id, p.practice_id AS "practiceId", p.first_name AS "firstName", p.last_name AS "lastName", p.date_of_birth::text AS "dateOfBirth",
  p.phone, p.email, p.insurance_provider AS "insuranceProvider", visits.next AS "nextAppointment", visits.last AS "lastVisit"`;

const time = (of: string) => `to_char(${of} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`;

/** When somebody comes next and was here last, by the appointments `a` of the practice $1. */
const visitTimes = `
  ${time(`min(a.starts_at) FILTER (WHERE a.status = 'confirmed' AND a.starts_at > now())`)} AS next,
  ${time('max(a.starts_at) FILTER (WHERE a.starts_at <= now())')} AS last
  FROM appointments a
  WHERE a.practice_id = $1 AND a.status <> 'cancelled'`;

/** Those of one patient `p`. */
const visits = `CROSS JOIN LATERAL (SELECT ${visitTimes} AND a.patient_id = p.id) visits`;

const stored = `p.practice_id, p.id, p.first_name, p.last_name, p.date_of_birth, p.phone, p.email, p.insurance_provider`;

/** The first page of a list and those after a patient: two texts, so that each uses its index from its first row on. */
export interface Pages {
  /** $1 practice, $2 rows, then what the list asks for. */
  readonly first: Statement<Patient>;
  /** As `first`, and as the last value the id of the patient behind whom it begins. */
  readonly after: Statement<Patient>;
}

interface Listed {
  /** How many values the condition takes, from $3 on. */
  readonly asked: number;
  /** Parts of the statement before the page. */
  readonly before?: string;
  /** Where the patients come from, as `p`, and under what condition. */
  readonly from: string;
  readonly condition?: string;
  /** Whether `from` has the rows whole, or only what orders them. */
  readonly rows: 'whole' | 'places';
}

function pages(name: string, { asked, before = '', from, condition = '', rows }: Listed): Pages {
  const placed = (chosen: string, behind: string) => `
    SELECT ${chosen} FROM ${from} WHERE p.practice_id = $1 ${condition} ${behind}
    ORDER BY p.last_name, p.first_name, p.id LIMIT $2`;
  const page = (behind: string) =>
    rows === 'whole'
      ? placed(stored, behind)
      : `SELECT ${stored} FROM (${placed('p.id', behind)}) place JOIN patients p ON p.practice_id = $1 AND p.id = place.id`;
  // The visits of all patients of a page are looked up at once, in half the time of one after the other.
  const text = (behind: string) => `
    WITH ${before} page AS MATERIALIZED (${page(behind)}), visits AS MATERIALIZED (
      SELECT a.patient_id, ${visitTimes} AND a.patient_id = ANY (ARRAY(SELECT id FROM page)) GROUP BY a.patient_id
    )
    SELECT ${columns} FROM page p LEFT JOIN visits ON visits.patient_id = p.id ORDER BY p.last_name, p.first_name, p.id`;
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
 * since a condition that concatenates is not leakproof, and row-level security would keep it from the index. Each word has a
 * bit, and who is found has all of them: of more than 63 words, nobody. All terms of a patient have the same name.
 */
const found = `
  words AS MATERIALIZED (
    SELECT word COLLATE "C" AS word, (word || chr(1114111)) COLLATE "C" AS stop, 1::bigint << (row_number() OVER () - 1)::int AS bit
    FROM (SELECT words_of_search($3) UNION SELECT words_of_phone($4)) AS given (word)
  ), found AS MATERIALIZED (
    SELECT $1::text AS practice_id, t.patient_id AS id, any_value(t.last_name) AS last_name, any_value(t.first_name) AS first_name
    FROM words JOIN patient_search_terms t ON t.practice_id = $1 AND t.term >= words.word AND t.term < words.stop
    GROUP BY t.patient_id HAVING bit_or(words.bit) = (SELECT CASE WHEN count(*) <= 63 THEN bit_or(bit) END FROM words)
  ),`;

export const list = pages('list', { asked: 0, from: 'patients p', rows: 'whole' });
/** $3 date of birth. */
export const bornOn = pages('born-on', {
  asked: 1,
  from: 'patients p',
  condition: 'AND p.date_of_birth = $3::date',
  rows: 'whole',
});
/** $3 words or null, $4 phone or null. */
export const search = pages('search', { asked: 2, before: found, from: 'found p', rows: 'places' });
/** As `search`, $5 date of birth. */
export const searchBornOn = pages('search-born-on', {
  asked: 3,
  before: found,
  from: 'found JOIN patients p USING (practice_id, id)',
  condition: 'AND p.date_of_birth = $5::date',
  rows: 'places',
});

export const one = statement<Patient>(
  'patients.one',
  `SELECT ${columns} FROM patients p ${visits}
   WHERE p.practice_id = $1 AND p.id = $2`,
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
   SELECT ${columns} FROM changed p ${visits}`,
);
