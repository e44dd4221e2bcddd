// @ts-check
/**
 * The audit log as Gatehouse writes and verifies it, without the server round it: `append` is what a request waits for, `fill` makes a
 * long chain with the same writer, `verify` is `npm run audit:verify`.
 */
import pg from 'pg';
import { exported } from './exported.mjs';

const BATCH = 5_000;

/** An entry as a reading of a patient leaves it. @param {string} practice @param {number} n */
export const entryOf = (practice, n) => ({
  practice,
  actor: `user_01jz00000000000000000${String(n % 1000).padStart(5, '0')}`,
  clientId: 'app_frontdesk',
  role: 'scheduling_agent',
  action: 'patient.read',
  outcome: 'allowed',
  code: null,
  route: 'GET /patients/:id',
  subjects: [`pat_01jz000000000000000${String(n % 100_000).padStart(7, '0')}`],
  subjectPractice: null,
  detail: null,
  correlationId: '0d5c0b52-7a1e-4c0b-9c4d-3f0a6f1f1f11',
  requestId: '0d5c0b52-7a1e-4c0b-9c4d-3f0a6f1f1f11',
  ip: '203.0.113.7',
});

/** @param {{ task: 'append' | 'fill' | 'verify', url: string, practice: string, entries?: number }} config */
export async function create({ task, url, practice, entries = 0 }) {
  const [Config, Clock] = await exported('platform/config/index.js', 'Config', 'Clock');
  const [Log, Metrics] = await exported('platform/telemetry/index.js', 'Log', 'Metrics');
  const [AuditConnections] = await exported('platform/audit/audit-connections.js', 'AuditConnections');
  const [AuditWriter] = await exported('platform/audit/audit-writer.js', 'AuditWriter');
  const [AuditTrail] = await exported('platform/audit/audit-trail.js', 'AuditTrail');
  const [verifyAudit] = await exported('platform/audit/verification.js', 'verifyAudit');

  const config = Config.from({ DATABASE_URL: url, DATABASE_SYSTEM_URL: url, LOG_LEVEL: 'silent' });
  const log = new Log(config);
  const connections = new AuditConnections(config, log);
  const writer = new AuditWriter(connections);
  const trail = new AuditTrail(writer, new Clock(), log, new Metrics());
  let appended = 0;
  /** @type {unknown} */
  let summary;
  const tasks = {
    append: (/** @type {number} */ n) => trail.append(entryOf(practice, n)).then(() => void appended++),
    fill: async () => {
      for (let from = 0; from < entries; from += BATCH) {
        const batch = Array.from({ length: BATCH }, (_, n) => ({ entry: entryOf(practice, from + n), at: Date.now() }));
        await writer.write(new Map([[practice, batch]]));
      }
    },
    verify: async () => void (summary = await verifyAudit(url, 'no-anchors', { only: practice })),
  };
  return {
    operate: tasks[task],
    summary: () => summary ?? { appended },
    close: () => connections.close(),
  };
}

/**
 * A login with the rights of the role for cross-tenant work, under row-level security as ours.
 * @param {string} superuserUrl
 */
export async function auditLogin(superuserUrl) {
  const password = 'bench'; // of a server on the loopback that holds bench data alone
  await withClient(superuserUrl, async (client) => {
    await client.query(
      `DO $$ BEGIN CREATE ROLE gatehouse_bench_system LOGIN IN ROLE gatehouse_system; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
    );
    await client.query(`ALTER ROLE gatehouse_bench_system PASSWORD '${password}'`);
    await letAppend(client, 'gatehouse_bench_system');
  });
  const url = new URL(superuserUrl);
  url.username = 'gatehouse_bench_system';
  url.password = password;
  return url;
}

/**
 * Lets a bench's login put entries in past the chains, as pgbench does and none of Gatehouse's roles may.
 * @param {pg.Client} client @param {string} role
 */
export async function letAppend(client, role) {
  await client.query(`GRANT INSERT ON audit_entries TO ${role}`);
  await client.query(`DROP POLICY IF EXISTS ${role} ON audit_entries`);
  await client.query(`CREATE POLICY ${role} ON audit_entries FOR INSERT TO ${role} WITH CHECK (true)`);
}

/** Entries of a chain, and the bytes of the first of them. @param {string} superuserUrl @param {string} practice */
export async function lengthOf(superuserUrl, practice) {
  return withClient(superuserUrl, async (client) => {
    const { rows } = await client.query('SELECT count(*)::int AS count FROM audit_entries WHERE practice_id = $1', [
      practice,
    ]);
    return rows[0].count;
  });
}

/** Takes chains of an earlier bench away, as only a superuser can. @param {string} superuserUrl @param {string} prefix */
export async function forgetChains(superuserUrl, prefix) {
  await withClient(superuserUrl, async (client) => {
    await client.query('SET session_replication_role = replica');
    await client.query('DELETE FROM audit_entries WHERE practice_id LIKE $1', [`${prefix}%`]);
    await client.query('RESET session_replication_role');
    await client.query('VACUUM ANALYZE audit_entries');
    await client.query('CHECKPOINT');
  });
}

/** @template Result @param {string} url @param {(client: pg.Client) => Promise<Result>} work */
async function withClient(url, work) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
