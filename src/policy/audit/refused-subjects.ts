import type { SystemDatabase } from '../../platform/database/system';
import { statement } from '../../platform/database';
import type { Log } from '../../platform/telemetry';

/** How long what is asked for is gathered before its owners are looked up, in milliseconds. */
const gatherMs = 100;
/** Different subjects that are looked up at once. */
const mostAtOnce = 1_000;
/** Requests that may wait for that; of the others nobody finds out whose it was that they asked for. */
const mostWaiting = 10_000;

/** What a request asked for that was refused without looking at it. */
export interface RefusedRequest {
  readonly ids: readonly string[];
  /** The caller's. */
  readonly practice: string;
  /** Told once, of the first that turns out to be another practice's. */
  readonly onForeign: (owner: Owner) => void;
}

export interface Owner {
  readonly subjectId: string;
  /** Such as `patient`. */
  readonly subjectType: string;
  readonly ownerPractice: string;
}

const ownersOf = statement<Owner>(
  'audit.owners-of',
  `SELECT id AS "subjectId", subject_type AS "subjectType", practice_id AS "ownerPractice" FROM owners_of($1)`,
);

/**
 * Finds out, after the answer, whether what a role was refused is another practice's: an attempt is one although it would have
 * failed in any case.
 */
export class RefusedSubjects {
  private waiting: RefusedRequest[] = [];
  private unseen = 0;
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> = Promise.resolve();

  constructor(
    private readonly system: SystemDatabase,
    private readonly log: Log,
  ) {}

  add(request: RefusedRequest): void {
    if (this.waiting.length < mostWaiting) this.waiting.push(request);
    else this.unseen += 1;
    this.timer ??= setTimeout(() => this.look(), gatherMs).unref();
  }

  /** Looks up what is left. */
  async close(): Promise<void> {
    this.look();
    await this.looking;
  }

  private look(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const [asked, unseen] = [this.waiting, this.unseen];
    [this.waiting, this.unseen] = [[], 0];
    if (unseen > 0)
      this.log.warn({ requests: unseen }, 'Too many refusals to find out whose it was that they asked for');
    if (asked.length > 0) this.looking = this.looking.then(() => this.tell(asked));
  }

  private async tell(asked: readonly RefusedRequest[]): Promise<void> {
    try {
      const ids = [...new Set(asked.flatMap(({ ids }) => ids))];
      const owners = new Map<string, Owner[]>();
      for (let from = 0; from < ids.length; from += mostAtOnce) {
        const some = ids.slice(from, from + mostAtOnce);
        const found = await this.system.run((sql) => sql.query(ownersOf, [some]));
        for (const owner of found) owners.set(owner.subjectId, [...(owners.get(owner.subjectId) ?? []), owner]);
      }
      for (const { ids, practice, onForeign } of asked) {
        const found = ids.flatMap((id) => owners.get(id) ?? []);
        const foreign = found.find(({ ownerPractice }) => ownerPractice !== practice);
        if (foreign) onForeign(foreign);
      }
    } catch (err) {
      this.log.error({ err, requests: asked.length }, 'Nobody finds out whose it was that refused requests asked for');
    }
  }
}
