import { Pool } from 'undici';
import { tokenFor } from './api';
import type { GateProcess } from './process';
import type { World } from './world';

export const practiceCount = 500;
const patientsEach = 20;
const appointmentsEach = 4;
/** The patient of each practice whose row the test keeps locked, so that a change of it runs into the deadline. */
const lockedPatient = patientsEach;
const inFlight = 48;
const tokensAtOnce = 10;

/** So many practices; every id and name says which practice's it is. */
export async function seedCrowd(world: World): Promise<void> {
  const nth = (kind: string, p = 'p', n = 'n') => `format('${kind}_l%sx%s', ${p}, ${n})`;
  const practices = `generate_series(1, ${practiceCount}) p`;
  await world.sql(
    `INSERT INTO practices (id, name, time_zone) SELECT 'practice_l' || p, 'P' || p, 'UTC' FROM ${practices}`,
  );
  await world.sql(
    `INSERT INTO staff (practice_id, id, name, role) SELECT 'practice_l' || p, 'staff', 'Dr.', 'provider' FROM ${practices}`,
  );
  await world.sql(
    `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, phone, email)
     SELECT 'practice_l' || p, ${nth('pat')}, 'Of' || p || 'x', 'Common L' || p || 'x', '1990-01-01', '+1555010' || to_char(p, 'FM0000'), 'of' || p || 'x@example.com'
     FROM ${practices}, generate_series(1, ${patientsEach}) n`,
  );
  await world.sql(
    `INSERT INTO slots (practice_id, id, provider_id, date, time, starts_at, status)
     SELECT 'practice_l' || p, ${nth('slot')}, 'staff', current_date + 9, make_time(8 + n, 0, 0), now() + interval '9 days', 'booked'
     FROM ${practices}, generate_series(1, ${appointmentsEach}) n`,
  );
  await world.sql(
    `INSERT INTO appointments (practice_id, id, patient_id, slot_id, starts_at, type, booked_by)
     SELECT 'practice_l' || p, ${nth('appt')}, ${nth('pat')}, slots.id, slots.starts_at, 'follow_up', 'u'
     FROM ${practices} CROSS JOIN generate_series(1, ${appointmentsEach}) n JOIN slots ON slots.id = ${nth('slot')}`,
  );
  await world.sql('ANALYZE');
}

/** Keeps a row of each practice locked until it is ended. */
export async function lockRows(world: World): Promise<() => Promise<void>> {
  const client = await world.clientOf('superuser');
  await client.query('BEGIN');
  await client.query(`SELECT FROM patients WHERE id LIKE 'pat\\_l%x${lockedPatient}' FOR UPDATE`);
  return () => client.end();
}

type Body = Readonly<Record<string, unknown>> & { readonly data?: readonly Record<string, unknown>[] };

/** What became of a crowd's requests. */
export interface Outcome {
  /** Answers by kind of request and status; `gone` where the client left first. */
  readonly counts: Map<string, number>;
  readonly rowsChecked: number;
  /** Everything that was wrong; must be empty. */
  readonly wrong: string[];
}

interface Asked {
  readonly kind: 'own' | 'changed' | 'unknown' | 'foreign' | 'abandoned' | 'stuck';
  readonly path: string;
  /** Rows of the answer, where there must be one. */
  readonly rows?: number;
  readonly method?: 'PATCH';
}

/** What each kind is answered where nothing failed: another one means that somebody was taken for somebody else. */
const statusOf: Readonly<Record<Asked['kind'], number>> = {
  own: 200,
  changed: 200,
  abandoned: 200,
  stuck: 504,
  foreign: 403,
  unknown: 404,
};
/** A machine that is busy says so. */
const busy: readonly number[] = [503, 504];

/** The request of number `i` by practice `p`; kinds are mixed, so that each connection serves all of them in turn. */
function asked(i: number, p: number): Asked {
  const n = 1 + (i % (patientsEach - 1));
  const a = 1 + (i % appointmentsEach);
  const other = 1 + ((p + i) % practiceCount);
  const foreign = other === p ? 1 + (p % practiceCount) : other;
  if (i % 997 === 0) return { kind: 'stuck', path: `/patients/pat_l${p}x${lockedPatient}`, method: 'PATCH' };
  const own: [path: string, rows: number][] = [
    [`/patients/pat_l${p}x${n}`, 1],
    ['/patients?limit=3', 3],
    ['/patients?search=common&limit=2', 2],
    [`/patients/pat_l${p}x${a}/appointments`, 1],
    [`/patients/pat_l${p}x${n}`, 1],
    ['/appointments?limit=3', 3],
    [`/appointments/appt_l${p}x${a}`, 1],
  ];
  const turn = i % 20;
  if (i % 40 === 16) return { kind: 'changed', path: `/patients/pat_l${p}x${n}`, rows: 1, method: 'PATCH' };
  if (turn === 17) return { kind: 'unknown', path: `/patients/pat_l${p}x${patientsEach + 1 + n}` };
  if (turn === 18) {
    const paths = [
      `/patients/pat_l${foreign}x${n}`,
      `/appointments/appt_l${foreign}x${a}`,
      `/patients/pat_l${foreign}x${n}/appointments`,
    ];
    return { kind: 'foreign', path: paths[i % paths.length] ?? '' };
  }
  const [path, rows] = own[i % own.length] ?? ['', 0];
  return { kind: turn === 19 ? 'abandoned' : 'own', path, rows };
}

/** All that says in an answer whose it is. */
function ownersIn(body: Body): { owners: Set<string>; rows: number } {
  const rows = body.data ?? [body];
  const owners = new Set<string>();
  for (const row of rows) {
    const said = [row.id, row.appointmentId, row.patientId, row.slotId].filter((id) => id !== undefined).map(String);
    if (said.length === 0) owners.add('nobody');
    for (const id of said) owners.add(/_l(\d+)x/.exec(id)?.[1] ?? id);
    if (row.lastName !== undefined) {
      for (const text of [row.firstName, row.lastName, row.email])
        owners.add(/(\d+)x/.exec(String(text))?.[1] ?? String(text));
    }
  }
  return { owners, rows: rows.length };
}

/** Sends so many requests of all practices in turn, to all processes in turn, and checks each answer row by row. */
export async function sendCrowd(gates: readonly GateProcess[], total: number): Promise<Outcome> {
  const [first] = gates;
  if (!first) throw new Error('A crowd needs a process');
  const claims = { sub: 'user_crowd', role: 'practice_admin', usage_plan: 'internal' };
  const tokens = [''];
  // Not all at once: signing is work, and beyond its share it is turned away.
  for (let p = 1; p <= practiceCount; p += tokensAtOnce) {
    const some = Array.from({ length: Math.min(tokensAtOnce, practiceCount + 1 - p) }, (_, n) => p + n);
    tokens.push(...(await Promise.all(some.map((n) => tokenFor(first, { ...claims, practice_id: `practice_l${n}` })))));
  }
  const pools = gates.map(({ url }) => new Pool(url, { connections: inFlight / gates.length, pipelining: 1 }));
  const counts = new Map<string, number>();
  const wrong: string[] = [];
  let rowsChecked = 0;
  let next = 0;
  const count = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1);

  const one = async (i: number): Promise<void> => {
    const p = 1 + ((i * 7) % practiceCount);
    const { kind, path, rows: rowsDue, method = 'GET' } = asked(i, p);
    const pool = pools[i % pools.length];
    if (!pool) throw new Error('There is no pool');
    const { signal, leave } = leaving(kind === 'abandoned' ? i % 12 : undefined);
    try {
      const { statusCode, body } = await pool.request({
        path,
        method,
        headers: { authorization: `Bearer ${tokens[p] ?? ''}`, 'content-type': 'application/json' },
        ...(method === 'PATCH' && { body: '{"insuranceProvider":"Changed"}' }),
        signal,
      });
      const text = await body.text();
      count(`${kind} ${statusCode}`);
      if (statusCode !== statusOf[kind] && !busy.includes(statusCode)) wrong.push(`${path} as ${p}: ${statusCode}`);
      if (statusCode === 200) {
        const { owners, rows } = ownersIn(JSON.parse(text) as Body);
        rowsChecked += rows;
        if ([...owners].some((owner) => owner !== String(p))) wrong.push(`${path} as ${p}: ${[...owners].join()}`);
        if (rows !== rowsDue) wrong.push(`${path} as ${p}: ${rows} rows`);
      } else if (/Common L|Of\d+x|@example/.test(text)) wrong.push(`${path} as ${p}: ${statusCode} ${text}`);
    } catch (error) {
      if (kind !== 'abandoned') throw error;
      count('abandoned gone');
    } finally {
      leave();
    }
  };
  const sender = async (): Promise<void> => {
    while (next < total) {
      next += 1;
      await one(next);
    }
  };
  try {
    await Promise.all(Array.from({ length: inFlight }, sender));
  } finally {
    await Promise.all(pools.map((pool) => pool.destroy()));
  }
  return { counts, rowsChecked, wrong };
}

/** A client that leaves after so many milliseconds: its socket is closed with the answer under way. */
function leaving(afterMs: number | undefined): { signal: AbortSignal; leave: () => void } {
  const controller = new AbortController();
  const timer = afterMs === undefined ? undefined : setTimeout(() => controller.abort(), afterMs);
  return { signal: controller.signal, leave: () => clearTimeout(timer) };
}
