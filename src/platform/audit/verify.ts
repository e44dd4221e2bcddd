import pg from 'pg';
import { type Anchor, readAnchors } from './anchor-file';
import { ChainCheck, type ChainFault } from './chain-check';
import { type ChainHead, chainHeads } from './chains';
import { copyOut } from './copy-out';

export interface AuditReport {
  readonly chains: number;
  /** Entries that were right. */
  readonly entries: number;
  readonly seconds: number;
  /** The first thing wrong with each chain that is not whole. */
  readonly faults: readonly ChainFault[];
  /** How many heads were compared; `undefined` where there is no file of anchors. */
  readonly anchors: number | undefined;
  /** Lines of that file that are no anchors. */
  readonly unreadable: readonly number[];
}

export interface VerifyOptions {
  readonly only?: string | undefined;
  readonly anchoredWithinMs?: number;
  readonly index?: boolean;
}

/**
 * Verifies the audit log: every chain from its first entry to its last, and against the anchors outside of the database.
 * @param systemUrl the database as the role for cross-tenant work, which may read all chains
 * @param options.only the one chain to look at
 * @param options.anchoredWithinMs after which every chain has an anchor: an older one without any is a fault, where there is a file
 * @param options.index whether what searches go by, the index of subjects and the columns beside the entries, is compared with
 * them, too, which takes longer than all else
 */
export async function verifyAudit(
  systemUrl: string,
  anchorFile: string,
  { only, anchoredWithinMs = Infinity, index = false }: VerifyOptions = {},
): Promise<AuditReport> {
  const begun = performance.now();
  // Before the entries: whatever was anchored by now must be found.
  const known = await readAnchors(anchorFile);
  const client = new pg.Client({ connectionString: systemUrl, application_name: 'gatehouse-audit-verify' });
  await client.connect();
  try {
    const { rows } = await client.query<ChainHead>(chainHeads.text);
    const all = new Set([...rows.map(({ practice }) => practice), ...(known?.anchors.keys() ?? [])]);
    const practices = only === undefined ? [...all].sort() : [only];
    const faults: ChainFault[] = [];
    let entries = 0;
    let anchors = 0;
    for (const practice of practices) {
      const anchored = known?.anchors.get(practice) ?? [];
      const check = await verifyChain(client, practice, anchored);
      entries += check.entries;
      anchors += anchored.length;
      const isBare = known !== undefined && anchored.length === 0 && (await ageOf(client, practice)) > anchoredWithinMs;
      if (check.fault) faults.push(check.fault);
      else if (isBare)
        faults.push({ practice, seq: 1, id: undefined, what: 'the chain has no anchor: one was taken away' });
      if (!index || check.fault) continue;
      const misplaced = (await misfiledOf(client, practice)) ?? (await misindexedOf(client, practice));
      if (misplaced) faults.push(misplaced);
    }
    return {
      chains: practices.length,
      entries,
      seconds: (performance.now() - begun) / 1000,
      faults,
      anchors: known && anchors,
      unreadable: known?.unreadable ?? [],
    };
  } finally {
    await client.end();
  }
}

async function verifyChain(client: pg.Client, practice: string, anchors: readonly Anchor[]): Promise<ChainCheck> {
  const check = new ChainCheck(practice, anchors);
  const query = `SELECT body, hash FROM audit_entries WHERE practice_id = ${client.escapeLiteral(practice)} ORDER BY seq`;
  await copyOut(client, query, (body, hash) => check.next(body, hash));
  check.end();
  return check;
}

/** Columns are generated from the entries, unless their owner made them columns like others. */
async function misfiledOf(client: pg.Client, practice: string): Promise<ChainFault | undefined> {
  const { rows } = await client.query<{ seq: string; id: string }>(
    `SELECT seq, body ->> 'id' AS id FROM audit_entries WHERE practice_id = $1 AND (
       seq::text IS DISTINCT FROM body ->> 'seq' OR actor IS DISTINCT FROM body ->> 'actor'
       OR action IS DISTINCT FROM body ->> 'action' OR outcome IS DISTINCT FROM body ->> 'outcome'
     ) ORDER BY audit_entries.seq LIMIT 1`,
    [practice],
  );
  const [first] = rows;
  if (!first) return undefined;
  return { practice, seq: Number(first.seq), id: first.id, what: 'it is found by something else than it says' };
}

async function misindexedOf(client: pg.Client, practice: string): Promise<ChainFault | undefined> {
  const { rows } = await client.query<{ first: string | null }>('SELECT audit_index_fault($1) AS first', [practice]);
  const first = rows[0]?.first;
  if (first == null) return undefined;
  const what = `what is found by subject is not what the entries up to ${Number(first) + 127} say`;
  return { practice, seq: Math.max(1, Number(first)), id: undefined, what };
}

/** Of the first entry of a chain, in milliseconds; 0 where there is none. */
async function ageOf(client: pg.Client, practice: string): Promise<number> {
  const { rows } = await client.query<{ at: string }>(
    `SELECT body ->> 'at' AS at FROM audit_entries WHERE practice_id = $1 ORDER BY seq LIMIT 1`,
    [practice],
  );
  return rows[0] ? Date.now() - Date.parse(rows[0].at) : 0;
}
