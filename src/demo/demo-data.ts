import { Client } from 'pg';
import type { Config } from '../platform/config';
import type { Sql, Statement } from '../platform/database';
import { checkKeys, cipherOf, type FieldCipher } from '../platform/secrets';
import { seedMessaging } from './messaging-data';

interface Practice {
  readonly id: string;
  readonly name: string;
  readonly timeZone: string;
  readonly patients: readonly (readonly [
    id: string,
    first: string,
    last: string,
    born: string,
    insurance: string,
    notes: string,
  ])[];
}

/** Days ahead that have slots; topped up at each start. */
const daysAhead = 14;

const practices: readonly Practice[] = [
  {
    id: 'practice_p001',
    name: 'Harbor Eye Care',
    timeZone: 'America/New_York',
    patients: [
      ['pat_demo0001', 'Ada', 'Lovelace', '1985-12-10', 'Acme Vision', 'Invented: prefers mornings'],
      ['pat_demo0002', 'Miles', 'O’Brien', '1978-09-01', 'Acme Vision', 'Invented: call his daughter, not him'],
      ['pat_demo0003', 'Chiara', 'Núñez', '1992-02-29', 'Blue Lens', 'Invented: allergic to latex'],
    ],
  },
  {
    id: 'practice_p002',
    name: 'Cedar Optometry',
    timeZone: 'Europe/London',
    patients: [
      ['pat_demo0101', 'Grace', 'Hopper', '1980-12-09', 'Blue Lens', 'Invented: needs the ramp'],
      ['pat_demo0102', 'Alan', 'Turing', '1975-06-23', 'Acme Vision', 'Invented: contact lenses since 2019'],
    ],
  },
];

/** Puts two practices with staff, patients and the coming days' slots, and a workspace, into a development database; repeatable. */
export async function seedDemo(config: Config, say: (line: string) => void): Promise<void> {
  const ownerUrl = config.get('DATABASE_ADMIN_URL');
  if (ownerUrl === undefined) {
    say('no demo data: DATABASE_ADMIN_URL is unset');
    return;
  }
  const client = new Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    const cipher = await cipherOf(config);
    // A value is written only under a key that the database knows, and the application that tells it starts later.
    const sql: Sql = {
      query: async <Row>({ text }: Statement<Row>, values: readonly unknown[] = []) =>
        (await client.query(text, [...values])).rows as Row[],
    };
    await checkKeys(sql, cipher);
    for (const practice of practices) await seedPractice(client, cipher, practice);
    await seedMessaging(client);
  } finally {
    await client.end();
  }
}

async function seedPractice(
  client: Client,
  cipher: FieldCipher,
  { id, name, timeZone, patients }: Practice,
): Promise<void> {
  const provider = `staff_demo${id.slice(-3)}`;
  await client.query('BEGIN');
  await client.query(`SELECT set_config('gatehouse.tenant', signed_tenant($1), true)`, [id]);
  await client.query(`INSERT INTO practices (id, name, time_zone) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, [
    id,
    name,
    timeZone,
  ]);
  await client.query(
    `INSERT INTO staff (practice_id, id, name, role) VALUES ($1, $2, 'Dr. Demo', 'provider') ON CONFLICT DO NOTHING`,
    [id, provider],
  );
  for (const [index, [patientId, first, last, born, insurance, notes]] of patients.entries()) {
    const place = (column: string) => ({ table: 'patients', column, tenant: id, row: patientId });
    await client.query(
      `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, phone, email, insurance_provider,
         ssn_encrypted, notes_encrypted)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
       -- Demo patients of an older schema have neither.
       ON CONFLICT (practice_id, id) DO UPDATE
         SET ssn_encrypted = excluded.ssn_encrypted, notes_encrypted = excluded.notes_encrypted
         WHERE patients.ssn_encrypted IS NULL AND patients.notes_encrypted IS NULL`,
      [
        id,
        patientId,
        first,
        last,
        born,
        `+1555010${id.slice(-2)}${index}0`,
        `${first.toLowerCase()}@example.com`,
        insurance,
        // No number in the area 000 was ever issued.
        cipher.encrypt(place('ssn'), `00000${id.slice(-2)}${String(index).padStart(2, '0')}`),
        cipher.encrypt(place('notes'), notes),
      ],
    );
  }
  await client.query(
    `INSERT INTO slots (practice_id, id, provider_id, date, time, starts_at)
     SELECT $1, format('slot_demo%s%s', right($1, 3), to_char(local, 'YYYYMMDDHH24MI')), $2,
            local::date, local::time, local AT TIME ZONE $3
     FROM generate_series(1, $4::int) AS day,
          generate_series(0, 15) AS half_hour,
          LATERAL (SELECT date_trunc('day', now() AT TIME ZONE $3) + day * interval '1 day'
                          + interval '9 hours' + half_hour * interval '30 minutes' AS local) AS at
     ON CONFLICT DO NOTHING`,
    [id, provider, timeZone, daysAhead],
  );
  await client.query('COMMIT');
}
