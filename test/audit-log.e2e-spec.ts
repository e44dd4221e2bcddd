import { createHash } from 'node:crypto';
import { call, tokenFor } from './support/api';
import { type Practice, seedPractice } from './support/practice';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { World } from './support/world';

interface Entry {
  readonly seq: number;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly outcome: string;
  readonly subjects: string[];
}

interface EntryPage {
  readonly data: Entry[];
  readonly nextCursor: string | null;
}

const claimsOf = (practice: string, role: string, sub = `user_${role}`) => ({
  sub,
  practice_id: practice,
  role,
  usage_plan: 'internal',
});

describe('the audit log of a practice', () => {
  let world: World;
  let gate: GateProcess;
  let ours: Practice;
  let theirs: Practice;
  let officer: string;

  const search = async (query: string, token = officer): Promise<EntryPage> => {
    const { status, body, text } = await call<EntryPage>(gate, `/audit?${query}`, { token });
    if (status !== 200) throw new Error(`${status} ${text}`);
    return body;
  };

  beforeAll(async () => {
    world = await World.create();
    ours = await seedPractice(world, 'ours', { patients: 5, slots: 1 });
    theirs = await seedPractice(world, 'theirs', { patients: 1, slots: 1 });
    gate = await world.start();
    officer = await tokenFor(gate, claimsOf(ours.id, 'security_officer'));
    const foreign = await tokenFor(gate, claimsOf(theirs.id, 'provider'));
    const [ada, bob] = await Promise.all(
      ['user_ada', 'user_bob'].map((sub) => tokenFor(gate, claimsOf(ours.id, 'provider', sub))),
    );
    await call(gate, `/patients/${theirs.patients[0] ?? ''}`, { token: foreign });
    for (const [index, id] of ours.patients.entries()) {
      await call(gate, `/patients/${id}`, { token: index < 3 ? ada : bob });
    }
    await call(gate, `/patients/${theirs.patients[0] ?? ''}`, { token: ada });
  });
  afterAll(() => world.end());

  it('is read newest first, page by page, its own practice’s alone', async () => {
    const seen: Entry[] = [];
    let cursor: string | null = null;
    do {
      const page: EntryPage = await search(
        `limit=2&to=2100-01-01T00:00:00Z${cursor === null ? '' : `&cursor=${cursor}`}`,
      );
      seen.push(...page.data);
      cursor = page.nextCursor;
    } while (cursor !== null);
    const seqs = seen.map(({ seq }) => seq);
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => b - a));
    expect(seqs.at(-1)).toBe(1);
    expect(new Set(seen.flatMap(({ subjects }) => subjects))).toEqual(
      new Set([...ours.patients, ...theirs.patients]), // theirs: as what Ada reached for
    );
    expect(seen.filter(({ action, actor }) => action === 'patient.read' && actor !== 'user_ada')).toHaveLength(2);
  });

  it.each([
    ['actor=user_bob', 2],
    ['action=patient.read', 6],
    ['outcome=refused', 1],
    ['outcome=refused&actor=user_bob', 0],
    ['actor=user_ada&action=patient.read&outcome=allowed', 3],
  ])('is searched by %s', async (query, count) => {
    expect((await search(query)).data).toHaveLength(count);
  });

  it('is searched by what was read', async () => {
    const { data } = await search(`subject=${ours.patients[3] ?? ''}`);
    expect(data).toMatchObject([{ actor: 'user_bob', action: 'patient.read', subjects: [ours.patients[3]] }]);
    expect((await search(`subject=${ours.patients[3] ?? ''}&actor=user_ada`)).data).toEqual([]);
  });

  it.each([
    ['gatehouse_lookup', `subjects @> ARRAY[1::bigint] AND chain || '' = 'practice_ours'`, 'audit_blocks_by_subject'],
    ['gatehouse_app', `practice_id = 'practice_ours' AND actor = 'user_ada' AND seq < 1000`, 'audit_entries_by_actor'],
    [
      'gatehouse_app',
      `practice_id = 'practice_ours' AND action = 'patient.read' AND seq < 1000`,
      'audit_entries_by_action',
    ],
    [
      'gatehouse_app',
      `practice_id = 'practice_ours' AND outcome = 'refused' AND outcome <> 'allowed'`,
      'audit_entries_not_allowed',
    ],
  ])('is searched as %s by %s through its index, row-level security or not', async (role, condition, index) => {
    const client = await world.clientOf('superuser');
    await client.query(
      `SET enable_seqscan = off; SET ROLE ${role}; SET gatehouse.tenant = '${await world.signed(ours.id)}'`,
    );
    const { rows } = await client.query<Record<string, string>>(
      `EXPLAIN SELECT FROM ${index.startsWith('audit_blocks') ? 'audit_blocks' : 'audit_entries'} WHERE ${condition}`,
    );
    await client.end();
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toContain(index);
    expect(plan).toMatch(/Index Cond: .*(subjects|actor|action|outcome|seq)/);
  });

  it('finds a subject wherever in its chain it stands, in the range that was asked for', async () => {
    const { id } = await seedPractice(world, 'blocks', { patients: 0, slots: 0 });
    const client = await world.clientOf('superuser');
    const said = JSON.stringify(Array.from({ length: 400 }, (_, n) => ({ subjects: [`pat_${n % 10}`, 'pat_all'] })));
    await client.query(
      `SELECT append_audit_entries(ARRAY[$1, 'practice_other'], ARRAY[390, 10], ARRAY(SELECT 'aud_' || n FROM generate_series(1, 400) n),
         array_fill('2026-01-01T00:00:00.000Z'::text, ARRAY[400]), $2)`,
      [id, said],
    );
    await client.query(`SET ROLE gatehouse_app; SET gatehouse.tenant = '${await world.signed(id)}'`);
    const about = async (subject: string, first: number, last: number) => {
      const { rows } = await client.query<{ seq: number }>(
        'SELECT seq::int FROM audit_entries_about($1, $2, $3) AS seq ORDER BY seq',
        [subject, first, last],
      );
      return rows.map(({ seq }) => seq);
    };
    const numbers = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n);
    const findsAll = async () => {
      expect(await about('pat_all', 0, Number.MAX_SAFE_INTEGER)).toEqual(numbers(1, 390));
      expect(await about('pat_all', 127, 257)).toEqual(numbers(127, 257));
      expect(await about('pat_3', -5, 400)).toEqual(numbers(0, 38).map((ten) => ten * 10 + 4));
      expect(await about('pat_9', 200, 200)).toEqual([200]);
      expect(await about('pat_', 1, 400)).toEqual([]);
      expect(await about('pat_all', 391, 500)).toEqual([]);
    };
    const blocks = (table: string) =>
      world.sql<{ block: string }>(`SELECT block::text FROM ${table} WHERE chain = $1 ORDER BY block`, [id]);
    // While some blocks are due, and once all that are full are indexed; the last one is not full.
    await findsAll();
    await until(async () => (await blocks('audit_blocks_due')).length === 0);
    expect((await blocks('audit_blocks')).map(({ block }) => block)).toEqual(['0', '1', '2']);
    await findsAll();
    await world.sql(`INSERT INTO audit_blocks_due SELECT chain, block FROM audit_blocks WHERE chain = $1`, [id]);
    await until(async () => (await blocks('audit_blocks_due')).length === 0);
    await findsAll();
    await client.query(`SET gatehouse.tenant = '${await world.signed('practice_other')}'`);
    expect(await about('pat_all', 0, 1_000)).toEqual(numbers(1, 10));
    for (const tenant of ['practice_without_entries', '', 'platform']) {
      await client.query(`SET gatehouse.tenant = '${await world.signed(tenant)}'`);
      expect(await about('pat_all', 0, Number.MAX_SAFE_INTEGER)).toEqual([]);
    }
    await client.end();
  });

  it('finds a subject in the newest entries and in the oldest, page by page', async () => {
    const { id } = await seedPractice(world, 'deep', { patients: 0, slots: 0 });
    const token = await tokenFor(gate, claimsOf(id, 'security_officer'));
    // About the ends of the first look and of the second, and at those of the chain; each search appends an entry more.
    const rare = [1, 2, 880, 881, 4_976, 4_977, 6_000];
    const said = Array.from({ length: 6_000 }, (_, n) => ({ subjects: rare.includes(n + 1) ? ['pat_rare'] : [] }));
    await world.sql(
      `SELECT append_audit_entries(ARRAY[$1], ARRAY[6000], ARRAY(SELECT 'aud_' || n FROM generate_series(1, 6000) n),
         array_fill('2026-01-01T00:00:00.000Z'::text, ARRAY[6000]), $2)`,
      [id, JSON.stringify(said)],
    );
    for (const limit of [1, 3, 7, 100]) {
      const found: number[] = [];
      let cursor = '';
      do {
        const page = await search(`subject=pat_rare&limit=${limit}${cursor}`, token);
        found.push(...page.data.map(({ seq }) => seq));
        cursor = page.nextCursor === null ? '' : `&cursor=${page.nextCursor}`;
      } while (cursor !== '');
      expect(found).toEqual(rare.toReversed());
    }
    expect((await search('subject=pat_nobody', token)).data).toEqual([]);
    expect((await search('subject=pat_rare&to=2026-01-01T00:00:00Z', token)).data).toEqual([]);
  });

  it('is searched by time, to the millisecond, whatever the offset it is written with', async () => {
    const [newest] = (await search('actor=user_bob&limit=1')).data;
    const at = newest?.at ?? '';
    const elsewhere = encodeURIComponent(at.replace('Z', '+00:00'));
    const since = await search(`from=${elsewhere}`);
    expect(since.data.map(({ seq }) => seq)).toContain(newest?.seq);
    expect(since.data.every((entry) => entry.at >= at)).toBe(true);
    const before = await search(`to=${elsewhere}`);
    expect(before.data.length).toBeGreaterThan(0);
    expect(before.data.every((entry) => entry.at < at)).toBe(true);
    expect((await search('from=2100-01-01T00:00:00Z')).data).toEqual([]);
    expect((await search('to=2000-01-01T00:00:00Z')).data).toEqual([]);
  });

  it.each(['limit=0', 'outcome=maybe', 'from=yesterday', 'cursor=bm8', 'nothing=1', 'action=Robert'])(
    'refuses the search %s',
    async (query) => {
      expect((await call(gate, `/audit?${query}`, { token: officer })).status).toBe(400);
    },
  );

  it('records that it was read', async () => {
    await search('limit=1');
    expect((await search('action=audit.read&limit=1')).data).toMatchObject([
      { actor: 'user_security_officer', action: 'audit.read', outcome: 'allowed' },
    ]);
  });

  it('is exported whole, so that its lines verify by themselves, and the export is recorded', async () => {
    const { headers, text, status } = await call(gate, '/audit/export', { token: officer });
    expect([status, headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
    const lines = text.split('\n').slice(0, -1);
    let previous = createHash('sha256').update(`gatehouse audit chain 1\n${ours.id}`).digest();
    for (const [index, line] of lines.entries()) {
      // What an auditor needs to know: the hash stands in front, the rest is what was hashed.
      const [, hash = '', body = ''] = /^\{"hash":"([0-9a-f]{64})","body":(.*)\}$/.exec(line) ?? [];
      previous = createHash('sha256').update(previous).update(body).digest();
      expect([hash, (JSON.parse(body) as Entry).seq]).toEqual([previous.toString('hex'), index + 1]);
    }
    const exported = lines.map((line) => (JSON.parse(line) as { body: Entry }).body);
    expect(exported.at(-1)).toMatchObject({ action: 'audit.export', actor: 'user_security_officer' });
  });

  describe('when it is long', () => {
    const practice = 'practice_long';
    let token: string;

    const begin = async (signal?: AbortSignal) => {
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(`${gate.url}/audit/export`, { headers, ...(signal && { signal }) });
      if (!response.body) throw new Error('The export has no body');
      return response.body.getReader();
    };
    /** The process has asked the database for nothing in the last half second. */
    const quiet = () =>
      until(async () => {
        const [{ isQuiet } = { isQuiet: false }] = await world.sql<{ isQuiet: boolean }>(
          `SELECT max(state_change) < clock_timestamp() - interval '500 ms' AS "isQuiet" FROM pg_stat_activity
           WHERE datname = current_database() AND usename = 'gatehouse_api'`,
        );
        return isQuiet;
      });

    beforeAll(async () => {
      token = await tokenFor(gate, claimsOf(practice, 'security_officer'));
      // 60 MB, more than the sockets hold; the hashes are of no matter here.
      await world.sql(
        `INSERT INTO audit_entries (body, hash)
         SELECT json_build_object('v', 1, 'practice', $1::text, 'seq', n, 'at', '2026-01-01T00:00:00.000Z',
                  'subjects', json_build_array(repeat('x', 2000))), sha256('')
         FROM generate_series(1, 30000) n`,
        [practice],
      );
    });

    it('is read no further than its reader, holds no transaction while it waits, and ends whole', async () => {
      const reader = await begin();
      const first = await reader.read();
      await quiet();
      expect(
        await world.sql(
          `SELECT 1 FROM pg_stat_activity
           WHERE datname = current_database() AND usename = 'gatehouse_api' AND state LIKE 'idle in transaction%'`,
        ),
      ).toEqual([]);
      // What is read only now shows what changed meanwhile.
      await world.sql('ALTER TABLE audit_entries DISABLE TRIGGER append_only');
      await world.sql(`UPDATE audit_entries SET hash = sha256('later') WHERE practice_id = $1 AND seq = 29000`, [
        practice,
      ]);
      const chunks = [Buffer.from(first.value ?? [])];
      for (let next = await reader.read(); !next.done; next = await reader.read()) chunks.push(Buffer.from(next.value));
      const lines = Buffer.concat(chunks).toString().split('\n');
      expect(lines).toHaveLength(30_002); // its own entry, and what stands behind the last line's end
      const later = createHash('sha256').update('later').digest('hex');
      expect(lines[28_999]?.slice(9, 73)).toBe(later);
    });

    it('is given up when its reader goes, and the process goes on', async () => {
      const abort = new AbortController();
      const reader = await begin(abort.signal);
      await reader.read();
      abort.abort();
      await until(() => gate.log.includes('"route":"GET /audit/export","status":499'));
      await quiet();
      expect((await search('limit=1')).data).toHaveLength(1);
    });
  });

  it.each(['scheduling_agent', 'provider', 'practice_admin', 'operator', 'rider'])('is not for a %s', async (role) => {
    const token = await tokenFor(gate, claimsOf(ours.id, role));
    const answers = await Promise.all(['/audit', '/audit/export'].map((path) => call(gate, path, { token })));
    expect(answers.map(({ status }) => status)).toEqual([403, 403]);
  });
});
