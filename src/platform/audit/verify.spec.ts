import { execFile } from 'node:child_process';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { builtDir, root } from '../../../test/support/places';
import { World } from '../../../test/support/world';
import { readAnchors } from './anchor-file';
import { type AuditNode, auditNode, entryOf } from './audit-nodes.spec-support';
import { verifyAudit } from './verify';

const entries = 300;

describe('verifying the audit log', () => {
  let world: World;
  let node: AuditNode;
  let made = 0;

  /** A chain of its own, anchored at its end unless told otherwise. */
  const chain = async (anchored = true) => {
    made += 1;
    const practice = `practice_${made}`;
    const anchorFile = join(world.environment.DATA_DIR ?? '', `${practice}.ndjson`);
    for (let half = 0; half < 2; half += 1) {
      await Promise.all(
        Array.from({ length: entries / 2 }, (_, n) => node.trail.append(entryOf(practice, { actor: `user_${n}` }))),
      );
      if (anchored) await anchor(anchorFile);
    }
    return { practice, anchorFile };
  };
  const anchor = async (file: string) => {
    const worker = auditNode(world, { AUDIT_ANCHOR_FILE: file, GATEHOUSE_ROLE: 'worker' });
    await worker.anchor.close();
    await worker.connections.close();
  };
  const verify = ({ practice, anchorFile }: { practice: string; anchorFile: string }) =>
    verifyAudit(world.environment.DATABASE_SYSTEM_URL ?? '', anchorFile, { only: practice, index: true });
  /** As somebody who owns the server. */
  const tamper = (statement: string, values: unknown[]) => world.sql(statement, values);
  const idAt = async (practice: string, seq: number) =>
    (
      await world.sql<{ id: string }>(
        `SELECT body ->> 'id' AS id FROM audit_entries WHERE practice_id = $1 AND seq = $2`,
        [practice, seq],
      )
    )[0]?.id;

  beforeAll(async () => {
    world = await World.create();
    node = auditNode(world);
    await world.sql('ALTER TABLE audit_entries DISABLE TRIGGER append_only');
  });
  afterAll(async () => {
    await node.connections.close();
    await world.end();
  });

  it('finds nothing wrong with what was only appended to, and counts it', async () => {
    const { faults, entries: counted, anchors, unreadable } = await verify(await chain());
    expect({ faults, counted, unreadable }).toEqual({ faults: [], counted: entries, unreadable: [] });
    expect(anchors).toBe(2);
  });

  it('names the entry that was edited', async () => {
    const made = await chain();
    await tamper(
      `UPDATE audit_entries SET body = replace(body::text, 'pat_1', 'pat_2')::json WHERE practice_id = $1 AND seq >= 123 AND seq <= 125`,
      [made.practice],
    );
    const { faults } = await verify(made);
    expect(faults).toMatchObject([{ practice: made.practice, seq: 123, id: await idAt(made.practice, 123) }]);
  });

  it('finds a change that keeps the meaning, such as a space', async () => {
    const made = await chain();
    await tamper(
      `UPDATE audit_entries SET body = replace(body::text, ',', ', ')::json WHERE practice_id = $1 AND seq = 7`,
      [made.practice],
    );
    expect((await verify(made)).faults).toMatchObject([{ seq: 7 }]);
  });

  it('names the first of the entries that were deleted', async () => {
    const made = await chain();
    await tamper('DELETE FROM audit_entries WHERE practice_id = $1 AND seq BETWEEN 50 AND 52', [made.practice]);
    expect((await verify(made)).faults).toEqual([
      { practice: made.practice, seq: 50, id: undefined, what: 'entries 50 to 52 are missing' },
    ]);
  });

  it('finds that the gap of a deleted entry was closed', async () => {
    const made = await chain();
    await tamper('DELETE FROM audit_entries WHERE practice_id = $1 AND seq = 50', [made.practice]);
    await tamper(
      `WITH moved AS (DELETE FROM audit_entries WHERE practice_id = $1 AND seq > 50 RETURNING body::text, hash, seq)
       INSERT INTO audit_entries (body, hash)
       SELECT replace(body, format('"seq":%s,', seq), format('"seq":%s,', seq - 1))::json, hash FROM moved`,
      [made.practice],
    );
    expect((await verify(made)).faults).toMatchObject([{ seq: 50 }]);
  });

  it('finds two entries that changed places', async () => {
    const made = await chain();
    const swap = `UPDATE audit_entries SET body = replace(body::text, $2, $3)::json WHERE practice_id = $1 AND seq = $4`;
    await tamper(swap, [made.practice, '"seq":80,', '"seq":9999,', 80]);
    await tamper(swap, [made.practice, '"seq":81,', '"seq":80,', 81]);
    await tamper(swap, [made.practice, '"seq":9999,', '"seq":81,', 9999]);
    expect((await verify(made)).faults).toMatchObject([{ seq: 80 }]);
  });

  it('finds a cut-off tail by the anchors alone', async () => {
    const made = await chain();
    await tamper('DELETE FROM audit_entries WHERE practice_id = $1 AND seq > 290', [made.practice]);
    expect((await verify(made)).faults).toMatchObject([
      { seq: 291, id: undefined, what: expect.stringMatching(/^the tail was cut off after 290: 300 was/) as string },
    ]);
  });

  it('finds a whole chain that is gone', async () => {
    const made = await chain();
    await tamper('DELETE FROM audit_entries WHERE practice_id = $1', [made.practice]);
    const { faults } = await verifyAudit(world.environment.DATABASE_SYSTEM_URL ?? '', made.anchorFile);
    expect(faults).toContainEqual(expect.objectContaining({ practice: made.practice, seq: 1 }));
  });

  it('finds a chain whose anchors were taken away, once it should have some', async () => {
    const [made, other] = [await chain(), await chain()];
    const lines = (await readFile(made.anchorFile, 'utf8')).split('\n');
    await writeFile(made.anchorFile, lines.filter((line) => !line.includes(`"${other.practice}"`)).join('\n'));
    const bare = async (withinMs: number) => {
      const { faults } = await verifyAudit(world.environment.DATABASE_SYSTEM_URL ?? '', made.anchorFile, {
        only: other.practice,
        anchoredWithinMs: withinMs,
      });
      return faults;
    };
    expect(await bare(3_600_000)).toEqual([]);
    expect(await bare(-1)).toMatchObject([
      { practice: other.practice, seq: 1, what: expect.stringContaining('no anchor') as string },
    ]);
  });

  it('finds a chain that was written anew, with hashes that follow, by the anchors alone', async () => {
    const [made, other] = [await chain(), await chain()];
    await tamper('DELETE FROM audit_entries WHERE practice_id = $1 AND seq > 200', [made.practice]);
    await Promise.all(Array.from({ length: 150 }, () => node.trail.append(entryOf(made.practice))));
    expect((await verify({ ...made, anchorFile: `${made.anchorFile}.none` })).faults).toEqual([]);
    expect((await verify(made)).faults).toMatchObject([{ seq: 300, id: await idAt(made.practice, 300) }]);
    expect((await verify(other)).faults).toEqual([]);
  });

  it('finds an entry that was moved to another chain', async () => {
    const [made, other] = [await chain(false), await chain(false)];
    await tamper('DELETE FROM audit_entries WHERE practice_id = $1', [made.practice]);
    await tamper(
      `INSERT INTO audit_entries (body, hash) SELECT replace(body::text, $1, $2)::json, hash FROM audit_entries WHERE practice_id = $1`,
      [other.practice, made.practice],
    );
    expect((await verify(made)).faults).toMatchObject([{ seq: 1 }]);
  });

  it('goes on behind a line of the anchors that a crash cut off, and says which', async () => {
    const made = await chain();
    await appendFile(made.anchorFile, '{"at":"2026-');
    await node.trail.append(entryOf(made.practice));
    await anchor(made.anchorFile);
    const torn = (await readFile(made.anchorFile, 'utf8')).split('\n').indexOf('{"at":"2026-') + 1;
    expect(await verify(made)).toMatchObject({ faults: [], anchors: 3, unreadable: [torn] });
    expect((await readAnchors(made.anchorFile))?.anchors.get(made.practice)?.at(-1)?.seq).toBe(entries + 1);
  });

  it.each([
    [
      'says of nobody that he is in it',
      `UPDATE audit_blocks SET subjects = '{}', mentions = '{}' WHERE chain = $1 AND block = 1`,
    ],
    [
      'says where somebody else is',
      `UPDATE audit_blocks SET subjects = ARRAY(SELECT s + 1 FROM unnest(subjects) s) WHERE chain = $1 AND block = 1`,
    ],
    ['leaves a mention out', `UPDATE audit_blocks SET mentions = mentions[2:] WHERE chain = $1 AND block = 1`],
    [
      'makes one up',
      `UPDATE audit_blocks SET subjects = subjects || 7::bigint, mentions = mentions || 133 WHERE chain = $1 AND block = 1`,
    ],
    ['is gone', `DELETE FROM audit_blocks WHERE chain = $1 AND block = 1`],
  ])('finds, when asked to, that the index of a block %s', async (_, change) => {
    const made = await chain();
    await world.sql('SELECT index_audit_blocks(1000)');
    expect((await verify(made)).faults).toEqual([]);
    expect(await tamper(`${change} RETURNING 1`, [made.practice])).toHaveLength(1);
    const { only, index } = { only: made.practice, index: false };
    const url = world.environment.DATABASE_SYSTEM_URL ?? '';
    expect((await verifyAudit(url, made.anchorFile, { only, index })).faults).toEqual([]);
    expect((await verify(made)).faults).toEqual([
      {
        practice: made.practice,
        seq: 128,
        id: undefined,
        what: expect.stringContaining('entries up to 255') as string,
      },
    ]);
  });

  it('is a command that exits 1 and names what is broken', async () => {
    const made = await chain();
    const run = () =>
      promisify(execFile)(process.execPath, [join(builtDir, 'audit-verify.js'), '--practice', made.practice], {
        cwd: root,
        env: { ...world.environment, NODE_ENV: 'test', AUDIT_ANCHOR_FILE: made.anchorFile },
      });
    expect((await run()).stdout).toMatch(/1 chains, 300 entries .*\n2 anchors .*\nevery chain is whole/);
    await tamper('DELETE FROM audit_entries WHERE practice_id = $1 AND seq = 300', [made.practice]);
    await expect(run()).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringMatching(`BROKEN  ${made.practice}, entry 300: the tail was cut off`) as string,
    });
  });

  // The last one: a column that is generated no more cannot be made so again.
  it('finds, when asked to, entries that are found by something else than they say', async () => {
    const columns = ['actor', 'action', 'outcome'];
    const chains = [await chain(), await chain(), await chain()];
    for (const column of columns) await tamper(`ALTER TABLE audit_entries ALTER COLUMN ${column} DROP EXPRESSION`, []);
    for (const [n, made] of chains.entries()) {
      expect((await verify(made)).faults).toEqual([]);
      const change = `UPDATE audit_entries SET ${columns[n] ?? ''} = 'nobody' WHERE practice_id = $1 AND seq = 100`;
      await tamper(change, [made.practice]);
      const [id, what] = [await idAt(made.practice, 100), 'it is found by something else than it says'];
      expect((await verify(made)).faults).toEqual([{ practice: made.practice, seq: 100, id, what }]);
    }
  });
});
