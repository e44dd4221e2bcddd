import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { holdChain, waitingForChains } from '../../../test/support/chains';
import { until } from '../../../test/support/until';
import { World } from '../../../test/support/world';
import { auditNode, type AuditNode, entryOf as entry } from './audit-nodes.spec-support';
import { append, valuesOf } from './audit-writer';
import { AuditUnavailable } from './audit.errors';
import { genesisOf } from './chain';
import { platformChain } from './entry';

interface Row {
  readonly body: string;
  readonly hash: Buffer;
  readonly practice: string;
  readonly seq: number;
}

/** An auditor's own: SHA-256 over the hash before and the entry's bytes. */
const linkOf = (previous: Buffer, body: Buffer) => createHash('sha256').update(previous).update(body).digest();

describe('AuditTrail', () => {
  let world: World;
  const nodes: AuditNode[] = [];

  const node = () => {
    const made = auditNode(world);
    nodes.push(made);
    return made;
  };
  const rows = (practice: string) =>
    world.sql<Row & Record<string, unknown>>(
      `SELECT body::text AS body, hash, practice_id AS practice, seq::int AS seq FROM audit_entries WHERE practice_id = $1 ORDER BY seq`,
      [practice],
    );

  beforeAll(async () => {
    world = await World.create();
  });
  afterAll(async () => {
    await Promise.all(nodes.map(({ connections }) => connections.close()));
    await world.end();
  });

  it('chains what two nodes append at once: no gap, no fork, whoever asked first', async () => {
    const [one, other] = [node(), node()];
    await Promise.all(
      Array.from({ length: 2_000 }, (_, n) => (n % 2 === 0 ? one : other).trail.append(entry('practice_two'))),
    );
    const found = await rows('practice_two');
    expect(found.map(({ seq }) => seq)).toEqual(Array.from({ length: 2_000 }, (_, n) => n + 1));
    let previous = genesisOf('practice_two');
    for (const { body, hash } of found) {
      previous = linkOf(previous, Buffer.from(body));
      expect(hash.equals(previous)).toBe(true);
    }
  });

  it('keeps many chains apart, however their entries are mixed', async () => {
    const { trail } = node();
    await Promise.all(Array.from({ length: 1_500 }, (_, n) => trail.append(entry(`practice_${n % 7}`))));
    for (let n = 0; n < 7; n += 1) {
      const found = await rows(`practice_${n}`);
      expect(found.at(-1)?.seq).toBe(found.length);
      expect(linkOf(genesisOf(`practice_${n}`), Buffer.from(found[0]?.body ?? ''))).toEqual(found[0]?.hash);
    }
  });

  it('lets the time of a chain stand still where a clock goes back', async () => {
    const { trail, clock } = node();
    await trail.append(entry('practice_clock'));
    clock.advance(-60_000);
    await trail.append(entry('practice_clock'));
    const [first, second] = (await rows('practice_clock')).map(({ body }) => (JSON.parse(body) as { at: string }).at);
    expect(second).toBe(first);
  });

  it('takes whatever a client can put into a name, and loses no other entry of the batch by it', async () => {
    const { trail } = node();
    const names = ['a\0b', '\ud800', 'é"\\\n', 'x'.repeat(10_000), '\u2028'];
    await Promise.all(
      names.map((name) => trail.append(entry('practice_odd', { actor: name, ip: name, subjects: [name] }))),
    );
    const found = await world.sql(
      `SELECT actor, body -> 'subjects' AS subjects FROM audit_entries WHERE practice_id = 'practice_odd'`,
    );
    expect(found.map(({ actor }) => String(actor)).sort()).toEqual(
      ['a\ufffdb', '\ufffd', 'é"\\\ufffd', 'x'.repeat(256), '\u2028'].sort(),
    );
  });

  it('refuses an entry with too many subjects, and takes those beside it', async () => {
    const { trail } = node();
    const subjects = Array.from({ length: 251 }, (_, n) => `pat_${n}`);
    const [refused, taken] = await Promise.allSettled([
      trail.append(entry('practice_many', { subjects })),
      trail.append(entry('practice_many')),
    ]);
    expect([refused.status, taken.status]).toEqual(['rejected', 'fulfilled']);
  });

  it('is unavailable for a chain that something stuck holds, and for no other', async () => {
    const { trail } = node();
    const holder = await holdChain(world, 'practice_stuck');
    const stuck = trail.append(entry('practice_stuck'));
    stuck.catch(() => undefined);
    for (let n = 0; n < 20; n += 1) await trail.append(entry('practice_free'));
    await expect(stuck).rejects.toBeInstanceOf(AuditUnavailable);
    await holder.end();
    await trail.append(entry('practice_stuck'));
    expect(await rows('practice_stuck')).toHaveLength(1);
  });

  it('waits for a chain over one connection, however much of it waits', async () => {
    const { trail } = node();
    const holder = await holdChain(world, 'practice_busy');
    // What becomes of these is not what is asked: where this takes long, they are given up.
    const appended = () => trail.append(entry('practice_busy')).catch(() => undefined);
    const busy = [appended()];
    await until(async () => (await waitingForChains(world)) > 0);
    busy.push(appended());
    let most = 0;
    let isBeside = false;
    const beside = trail.append(entry('practice_beside')).then(() => (isBeside = true));
    await until(async () => {
      most = Math.max(most, await waitingForChains(world));
      return isBeside;
    });
    expect(most).toBe(1);
    await holder.end();
    await Promise.all([beside, ...busy]);
  });

  it('keeps the order of a chain whose batch failed for the sake of another', async () => {
    const { trail } = node();
    const holder = await holdChain(world, 'practice_held');
    const held = expect(trail.append(entry('practice_held'))).rejects.toBeInstanceOf(AuditUnavailable);
    const first = trail.append(entry('practice_order', { actor: 'user_first' }));
    await until(async () => (await waitingForChains(world)) > 0);
    const second = trail.append(entry('practice_order', { actor: 'user_second' }));
    await Promise.all([held, first, second]);
    await holder.end();
    const actors = (await rows('practice_order')).map(({ body }) => (JSON.parse(body) as { actor: string }).actor);
    expect(actors).toEqual(['user_first', 'user_second']);
  });

  it('lets a few entries behind a batch share the next one, and wait for it no longer than a batch takes', async () => {
    const { trail } = node();
    const holder = await holdChain(world, 'practice_slow');
    const slow = trail.append(entry('practice_slow')).catch(() => undefined); // where this takes long, it is given up
    await until(async () => (await waitingForChains(world)) > 0);
    const one = trail.append(entry('practice_few1'));
    await new Promise(setImmediate);
    const other = trail.append(entry('practice_few2'));
    await Promise.all([one, other]); // before the slow one
    await holder.end();
    await slow;
    const transactions = await world.sql<{ count: number }>(
      `SELECT count(DISTINCT xmin::text)::int AS count FROM audit_entries WHERE practice_id IN ('practice_few1', 'practice_few2')`,
    );
    expect(transactions).toEqual([{ count: 1 }]);
  });

  it('lets nobody hold a chain who does not read what Postgres answers', async () => {
    const deaf = await world.clientOf('system');
    const { stream } = (deaf as unknown as { connection: { stream: Socket } }).connection;
    stream.pause();
    const values = valuesOf(new Map([['practice_deaf', [{ entry: entry('practice_deaf'), at: Date.now() }]]]));
    const sent = deaf.query(append.text, values);
    await until(async () => (await rows('practice_deaf')).length === 1);
    await node().trail.append(entry('practice_deaf'));
    stream.resume();
    await sent;
    await deaf.end();
    expect(await rows('practice_deaf')).toHaveLength(2);
  });

  it('lets what is urgent stand before all that waits of its chain', async () => {
    const { trail } = node();
    const holder = await holdChain(world, 'practice_hurry');
    const underWay = trail.append(entry('practice_hurry', { actor: 'user_first' }));
    await until(async () => (await waitingForChains(world)) > 0);
    const usual = Array.from({ length: 1_000 }, () => trail.append(entry('practice_hurry')));
    const urgent = trail.append(entry('practice_hurry', { actor: 'user_urgent' }), true);
    await holder.end();
    await Promise.all([underWay, urgent, ...usual]);
    const actors = (await rows('practice_hurry')).map(({ body }) => (JSON.parse(body) as { actor: string }).actor);
    expect(actors).toHaveLength(1_002);
    expect(actors.slice(0, 2)).toEqual(['user_first', 'user_urgent']);
  });

  it('keeps nobody waiting for a flood of what is urgent, in its own chain or another', async () => {
    const { trail } = node();
    const subjects = Array.from({ length: 100 }, (_, n) => `apt_${n}`);
    let flooding = true;
    let written = 0;
    const flood = async (practice: string) => {
      for (; flooding; written += 1) await trail.append(entry(practice, { subjects }), true);
    };
    const floods = ['practice_flood1', 'practice_flood2'].flatMap((name) =>
      Array.from({ length: 12 }, () => flood(name)),
    );
    await until(() => written > 20);
    const stoodBefore: number[] = [];
    for (const practice of ['practice_flood1', 'practice_quiet']) {
      const before = written;
      await trail.append(entry(practice));
      stoodBefore.push(written - before);
    }
    flooding = false;
    await Promise.all(floods);
    // Those of a few batches, however busy the machine; a line in which the urgent always go first would not end.
    expect(Math.max(...stoodBefore)).toBeLessThan(200);
  });

  it('fails no other chain with one that can be appended to no more', async () => {
    const { trail } = node();
    await world.sql(
      `INSERT INTO audit_entries (body, hash) VALUES ('{"practice":"practice_full","seq":9223372036854775807}', sha256(''))`,
    );
    const holder = await holdChain(world, 'practice_first');
    const underWay = [trail.append(entry('practice_first')), trail.append(entry('practice_first'))];
    const full = trail.append(entry('practice_full'));
    full.catch(() => undefined);
    const beside = Array.from({ length: 20 }, (_, n) => trail.append(entry(`practice_beside${n % 3}`)));
    await holder.end();
    await Promise.all([...underWay, ...beside]);
    await expect(full).rejects.toBeInstanceOf(AuditUnavailable);
  });

  it('says what it had to lose', async () => {
    const { trail, metrics } = node();
    const holder = await world.clientOf('superuser');
    await holder.query('BEGIN; LOCK TABLE audit_entries IN SHARE ROW EXCLUSIVE MODE');
    await trail.offer(entry(platformChain), { weight: 3 });
    expect((await metrics.registry.getSingleMetric('audit_entries_lost_total')?.get())?.values[0]?.value).toBe(3);
    await holder.end();
  });

  it('is unavailable beyond what may wait of one chain, and of all, at once', async () => {
    const { trail } = node();
    const crowd = (practice: string) => Array.from({ length: 4_100 }, () => trail.append(entry(practice)));
    const results = await Promise.allSettled([
      ...crowd('practice_crowd1'),
      ...crowd('practice_crowd2'),
      ...crowd('practice_crowd3'),
    ]);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(4 + 4 + 4_100);
    const found = await Promise.all(['practice_crowd1', 'practice_crowd2', 'practice_crowd3'].map(rows));
    expect(found.map(({ length }) => length)).toEqual([4_096, 4_096, 0]);
  });

  it('gives up a Postgres that says nothing', async () => {
    const { trail } = node();
    const holder = await holdChain(world, 'practice_mute');
    const mute = trail.append(entry('practice_mute'));
    mute.catch(() => undefined);
    await until(async () => (await waitingForChains(world)) > 0);
    const [waiter] = await world.sql<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database()
         AND application_name LIKE 'gatehouse-audit-%' AND wait_event_type = 'Lock'`,
    );
    const pid = Number(waiter?.pid);
    process.kill(pid, 'SIGSTOP');
    try {
      await expect(mute).rejects.toBeInstanceOf(AuditUnavailable);
      await trail.drained();
    } finally {
      process.kill(pid, 'SIGCONT');
      await holder.end();
    }
  }, 30_000);

  it.each([
    ['runtime', `INSERT INTO audit_entries (body, hash) VALUES ('{"practice":"practice_two","seq":9000}', sha256(''))`],
    ['runtime', `UPDATE audit_entries SET hash = sha256('')`],
    ['runtime', 'DELETE FROM audit_entries'],
    ['runtime', 'TRUNCATE audit_entries'],
    ['system', `UPDATE audit_entries SET hash = sha256('')`],
    ['system', 'DELETE FROM audit_entries'],
    ['system', 'TRUNCATE audit_entries'],
    ['owner', `UPDATE audit_entries SET hash = sha256('')`],
    ['owner', 'DELETE FROM audit_entries'],
    ['owner', 'TRUNCATE audit_entries'],
    ['superuser', 'DELETE FROM audit_entries'],
  ] as const)('is not to be changed by the %s role: %s', async (who, attack) => {
    const client = await world.clientOf(who);
    await client.query(`BEGIN; SET LOCAL gatehouse.tenant = '${await world.signed('practice_two')}'`);
    await expect(client.query(attack)).rejects.toThrow(/permission denied|append-only|row-level security/);
    await client.end();
  });

  it('shows a practice its own chain, and nobody the platform’s', async () => {
    const client = await world.runtimeClient();
    const seen = async (tenant: string) => {
      await client.query(`BEGIN; SET LOCAL gatehouse.tenant = '${await world.signed(tenant)}'`);
      const { rows: found } = await client.query(`SELECT DISTINCT practice_id FROM audit_entries`);
      await client.query('COMMIT');
      return found.map(({ practice_id }: Record<string, unknown>) => practice_id);
    };
    await node().trail.append(entry(platformChain));
    expect(await seen('practice_two')).toEqual(['practice_two']);
    expect(await seen(platformChain)).toEqual([]);
    await client.end();
  });
});
