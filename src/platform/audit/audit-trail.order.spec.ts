import { DatabaseError } from 'pg';
import { Config, ManualClock } from '../config';
import { DatabaseUnavailable } from '../database';
import { Log, Metrics } from '../telemetry';
import { entryOf } from './audit-nodes.spec-support';
import { AuditTrail } from './audit-trail';
import type { AuditWriter, TimedEntry } from './audit-writer';
import { AuditUnavailable, ChainStuck } from './audit.errors';

interface Batch {
  readonly practices: readonly string[];
  readonly actors: readonly (string | null)[];
  readonly end: (failure?: Error) => void;
}

/** Writes nothing: a batch ends when, and as, the test says. */
class HeldWriter {
  readonly underWay: Batch[] = [];
  count = 0;

  write(chains: ReadonlyMap<string, readonly TimedEntry[]>): Promise<void> {
    this.count += 1;
    return new Promise((resolve, reject) => {
      const actors = [...chains.values()].flat().map(({ entry }) => entry.actor);
      const end = (failure?: Error) => {
        this.underWay.splice(this.underWay.indexOf(batch), 1);
        if (failure) reject(failure);
        else resolve();
      };
      const batch: Batch = { practices: [...chains.keys()], actors, end };
      this.underWay.push(batch);
    });
  }
}

const refusal = (code: string) => Object.assign(new DatabaseError('refused', 0, 'error'), { code });

describe('AuditTrail, by what a batch is made of', () => {
  let writer: HeldWriter;
  let trail: AuditTrail;
  const clock = new ManualClock();

  beforeEach(() => {
    writer = new HeldWriter();
    const log = new Log(Config.from({ NODE_ENV: 'test', LOG_LEVEL: 'silent' }));
    trail = new AuditTrail(writer as unknown as AuditWriter, clock, log, new Metrics());
  });

  /** Appends, and tells what became of it. */
  const append = (practice: string, actor: string, urgent = false) => {
    const told = { practice, outcome: 'waits' };
    trail.append(entryOf(practice, { actor }), urgent).then(
      () => (told.outcome = 'durable'),
      (error: unknown) => (told.outcome = error instanceof AuditUnavailable ? 'unavailable' : String(error)),
    );
    return told;
  };
  const turn = () => new Promise(setImmediate);
  const oldest = (): Batch => {
    const [batch] = writer.underWay;
    if (!batch) throw new Error('No batch is under way');
    return batch;
  };

  it.each([
    { floods: { urgent: 'practice_r', usual: 'practice_p' }, what: 'urgent' },
    { floods: { urgent: 'practice_p', usual: 'practice_q' }, what: 'usual' },
  ] as const)(
    'keeps what is $what of a chain waiting for no flood of the other kind in it',
    async ({ floods, what }) => {
      const flood = () => {
        for (let n = 0; n < 40; n += 1) {
          append(floods.usual, 'flood');
          append(floods.urgent, 'flood', true);
        }
      };
      flood();
      await turn();
      expect(writer.underWay).toHaveLength(2);
      append('practice_p', 'wanted', what === 'urgent');
      let ofItsChain = 0;
      for (let round = 0; round < 50; round += 1) {
        flood();
        oldest().end();
        await turn();
        const newest = writer.underWay.at(-1);
        if (newest?.practices.includes('practice_p')) ofItsChain += 1;
        if (newest?.actors.includes('wanted')) break;
      }
      expect(writer.underWay.at(-1)?.actors).toContain('wanted');
      expect(ofItsChain).toBeLessThanOrEqual(3);
    },
  );

  it.each([
    ['a chain is stuck', new ChainStuck(refusal('55P03')), 3],
    ['Postgres refuses', refusal('23514'), 3],
    ['the connection is lost', new DatabaseUnavailable(new Error('Connection terminated')), 1],
    ['the network fails in a way that nobody listed', Object.assign(new Error(), { code: 'ENETUNREACH' }), 1],
  ])('writes a batch again only where Postgres said that it is not written: %s', async (_, failure, batches) => {
    const told = [append('practice_1', 'one'), append('practice_2', 'two')];
    await turn();
    expect(oldest().practices).toEqual(['practice_1', 'practice_2']);
    oldest().end(failure);
    for (let n = 0; n < 5; n += 1) {
      await turn();
      writer.underWay[0]?.end();
    }
    expect(writer.count).toBe(batches);
    const outcome = batches === 1 ? 'unavailable' : 'durable';
    expect(told.map((entry) => entry.outcome)).toEqual([outcome, outcome]);
  });

  it('lets a chain that is stuck take no other’s place, however many of its entries come', async () => {
    const stuck = Array.from({ length: 9_000 }, () => append('practice_stuck', 'stuck'));
    // It has room of its own.
    const urgent = append('practice_stuck', 'urgent', true);
    await turn();
    const others = Array.from({ length: 500 }, (_, n) => append(`practice_${n}`, 'other'));
    await turn();
    expect(stuck.filter(({ outcome }) => outcome === 'unavailable')).toHaveLength(9_000 - 4_096);
    expect(urgent.outcome).toBe('waits');
    oldest().end(new ChainStuck(refusal('55P03')));
    await turn();
    expect(stuck.filter(({ outcome }) => outcome === 'waits')).toEqual([]);
    for (let n = 0; n < 200; n += 1) {
      writer.underWay[0]?.end();
      await turn();
    }
    expect(others.filter(({ outcome }) => outcome !== 'durable')).toEqual([]);
    await trail.drained();
  });
});
