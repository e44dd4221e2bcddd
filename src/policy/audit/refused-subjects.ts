import type { AuditEntry, AuditTrail } from '../../platform/audit';
import { statement } from '../../platform/database';
import type { SystemDatabase } from '../../platform/database/system';
import type { Log } from '../../platform/telemetry';

/** How long what is asked for is gathered before its owners are looked up, in milliseconds. */
const gatherMs = 100;
/** How long after a failure it is tried again, in milliseconds. */
const retryMs = 1_000;
/** Different subjects that are looked up at once. */
const mostAtOnce = 1_000;
/** Requests that may wait to be looked up, of all practices and of one. */
const mostWaiting = { ofAll: 10_000, ofOne: 1_000 };

/** Things of one request that are looked up, those of its path first: nobody means more. */
const mostOfRequest = 100;

/** What a request asked for that was refused without looking at it. */
export interface RefusedRequest {
  readonly ids: readonly string[];
  /** The caller's, who is of none where he is of a workspace. */
  readonly practice: string | undefined;
  /** What its entry would say if one of them were another practice's. */
  readonly entry: AuditEntry;
}

/** Whose something is. */
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
 * failed in any case. What cannot be looked up is tried again; what finds no place, or is left at the end, is counted as lost.
 */
export class RefusedSubjects {
  private waiting: RefusedRequest[] = [];
  private readonly waitingOf = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<boolean> | undefined;
  private isClosing = false;

  /** @param onForeign told once a request, of the first that is another practice's */
  constructor(
    private readonly system: SystemDatabase,
    private readonly trail: AuditTrail,
    private readonly log: Log,
    private readonly onForeign: (request: RefusedRequest, owner: Owner) => void,
  ) {}

  add(request: RefusedRequest): void {
    const ofOne = this.waitingOf.get(request.entry.practice) ?? 0;
    const isTooMuch = this.waiting.length >= mostWaiting.ofAll || ofOne >= mostWaiting.ofOne;
    if (isTooMuch) {
      this.trail.lose(request.entry, 1, new Error('Too much was asked for to find out whose it was'));
      return;
    }
    if (request.ids.length > mostOfRequest)
      this.trail.lose(request.entry, 1, new Error('More was asked for than is looked up'));
    this.waiting.push({ ...request, ids: request.ids.slice(0, mostOfRequest) });
    this.waitingOf.set(request.entry.practice, ofOne + 1);
    this.lookIn(gatherMs);
  }

  /** Looks up what is left, once. */
  async close(): Promise<void> {
    this.isClosing = true;
    clearTimeout(this.timer);
    await this.looking;
    await this.look();
    for (const { entry } of this.waiting) this.trail.lose(entry, 1, new Error('Nobody could find out whose it was'));
  }

  private lookIn(ms: number): void {
    if (this.timer || this.looking || this.isClosing) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.looking = this.look();
      void this.looking.then((isDone) => {
        this.looking = undefined;
        if (this.waiting.length > 0) this.lookIn(isDone ? gatherMs : retryMs);
      });
    }, ms).unref();
  }

  /** Looks up what waits now; false where the owners could not be found out. */
  private async look(): Promise<boolean> {
    const asked = this.waiting.slice();
    try {
      const ids = [...new Set(asked.flatMap((request) => request.ids))];
      const owners = new Map<string, Owner>();
      for (let from = 0; from < ids.length; from += mostAtOnce) {
        const some = ids.slice(from, from + mostAtOnce);
        const found = await this.system.run((sql) => sql.query(ownersOf, [some]));
        for (const owner of found) owners.set(owner.subjectId, owner);
      }
      this.waiting = this.waiting.slice(asked.length);
      for (const request of asked) {
        const { practice } = request.entry;
        const left = (this.waitingOf.get(practice) ?? 1) - 1;
        if (left > 0) this.waitingOf.set(practice, left);
        else this.waitingOf.delete(practice);
        const found = request.ids.flatMap((id) => owners.get(id) ?? []);
        const foreign = found.find(({ ownerPractice }) => ownerPractice !== request.practice);
        if (foreign) this.onForeign(request, foreign);
      }
      return true;
    } catch (err) {
      this.log.warn({ err, requests: asked.length }, 'Whose it was that refused requests asked for is looked up again');
      return false;
    }
  }
}
