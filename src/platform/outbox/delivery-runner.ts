import type { Counter } from 'prom-client';
import { DatabaseBusy, DatabaseUnavailable, statement, StatementCancelled, type UnitOfWork } from '../database';
import type { Log } from '../telemetry';
import type { CircuitBreaker, Permit } from './circuit-breaker';
import type { RegisteredConsumer } from './consumers';
import { type DomainEvent, EffectFailed, type ExternalConsumer, isExternal, type TransactionalConsumer } from './event';
import { attemptLeaseSeconds, maxAttempts, retryDelayMs } from './settings';

interface Claimed {
  readonly type: string;
  readonly tenantId: string;
  readonly payload: Record<string, unknown>;
  readonly occurredAt: Date;
  /** Its number, counting from 1: the fencing token. */
  readonly attempt: number;
}

const claimedColumns = `
  e.type, e.tenant_id AS "tenantId", e.payload, e.created_at AS "occurredAt", claimed.attempts AS attempt
  FROM claimed JOIN outbox_events e ON e.id = $1`;

/** Begins an attempt: nobody else may until its lease is over. */
const lease = statement<Claimed>(
  'outbox.lease',
  `WITH claimed AS (
     UPDATE event_deliveries SET attempts = attempts + 1, published_at = NULL,
       next_attempt_at = now() + make_interval(secs => $3), draw_at = now() + make_interval(secs => $3)
     WHERE event_id = $1 AND consumer = $2 AND state = 'pending' AND next_attempt_at <= now() RETURNING attempts
   ) SELECT ${claimedColumns}`,
);

/** Begins an attempt that is done when this transaction commits, and that never was when it does not. */
const finishAhead = statement<Claimed>(
  'outbox.finish-ahead',
  `WITH claimed AS (
     UPDATE event_deliveries SET attempts = attempts + 1, published_at = NULL, draw_at = NULL, state = 'done', finished_at = now()
     WHERE event_id = $1 AND consumer = $2 AND state = 'pending' AND next_attempt_at <= now() RETURNING attempts
   ) SELECT ${claimedColumns}`,
);

/** Marks the delivery done, if this attempt is still the latest one. */
const finish = statement<{ attempts: number }>(
  'outbox.finish',
  `UPDATE event_deliveries SET state = 'done', draw_at = NULL, finished_at = now()
   WHERE event_id = $1 AND consumer = $2 AND state = 'pending' AND attempts = $3 RETURNING attempts`,
);

const fail = statement<{ attempts: number }>(
  'outbox.fail',
  `UPDATE event_deliveries SET attempts = $4, published_at = NULL, last_error_class = $5,
     next_attempt_at = now() + $6 * interval '1 ms', draw_at = CASE WHEN NOT $7 THEN now() + $6 * interval '1 ms' END,
     state = CASE WHEN $7 THEN 'dead' ELSE 'pending' END, finished_at = CASE WHEN $7 THEN now() END
   WHERE event_id = $1 AND consumer = $2 AND state = 'pending' AND attempts = $3 RETURNING attempts`,
);

/** Takes an attempt back that called nobody, if it is still the latest one; the delivery is due again soon. */
const giveBack = statement(
  'outbox.give-back',
  `UPDATE event_deliveries SET attempts = attempts - 1, published_at = NULL,
     next_attempt_at = now() + make_interval(secs => $4), draw_at = now() + make_interval(secs => $4)
   WHERE event_id = $1 AND consumer = $2 AND state = 'pending' AND attempts = $3`,
);

/** Makes the delivery due again. It counts as an attempt: one that runs elsewhere may have sent before us, and is fenced off. */
const repeat = statement(
  'outbox.repeat',
  `UPDATE event_deliveries SET state = 'pending', attempts = attempts + 1, published_at = NULL, finished_at = NULL,
     next_attempt_at = now(), draw_at = now()
   WHERE event_id = $1 AND consumer = $2 AND state <> 'dead'`,
);

/** How long a delivery waits that our own servers could not make. */
const pauseSeconds = 2;

export type Outcome = 'done' | 'retry' | 'dead' | 'skipped' | 'fenced' | 'postponed' | 'overtaken';

/** Makes the attempts of one consumer, within the context of the job's tenant. */
export class DeliveryRunner {
  constructor(
    private readonly registered: RegisteredConsumer,
    private readonly unitOfWork: UnitOfWork,
    private readonly breaker: CircuitBreaker,
    private readonly outcomes: Counter<'consumer' | 'outcome'>,
    private readonly log: Log,
  ) {}

  /** Makes one attempt, if one is due. A failure of the consumer is recorded, not thrown. */
  async attempt(eventId: string): Promise<Outcome> {
    const { consumer, name } = this.registered;
    let outcome: Outcome;
    try {
      outcome = isExternal(consumer)
        ? await this.attemptExternal(consumer, eventId)
        : await this.attemptTransactional(consumer, eventId);
    } catch (error) {
      // A fault of our own servers uses up no attempt: what is leased ends by itself, and the delivery is drawn again.
      if (!isOurs(error)) throw error;
      this.log.warn({ consumer: name, eventId, err: error }, 'A delivery waits for our own servers');
      outcome = 'postponed';
    }
    this.outcomes.inc({ consumer: name, outcome });
    return outcome;
  }

  private async attemptTransactional(consumer: TransactionalConsumer, eventId: string): Promise<Outcome> {
    const { name } = this.registered;
    let claimed: Claimed | undefined;
    try {
      return await this.unitOfWork.run(async () => {
        [claimed] = await this.unitOfWork.query(finishAhead, [eventId, name]);
        if (!claimed) return 'skipped';
        await consumer.handle(eventOf(eventId, claimed));
        return 'done';
      });
    } catch (error) {
      if (!claimed || isOurs(error)) throw error;
      // The attempt was rolled back with the effect, its number, too.
      return this.failed(eventId, claimed.attempt - 1, claimed.attempt, error);
    }
  }

  private async attemptExternal(consumer: ExternalConsumer, eventId: string): Promise<Outcome> {
    const permit = await this.breaker.admit();
    if (!permit) return 'postponed';
    try {
      return await this.attemptAdmitted(consumer, eventId, permit);
    } finally {
      permit.unused();
    }
  }

  private async attemptAdmitted(consumer: ExternalConsumer, eventId: string, permit: Permit): Promise<Outcome> {
    const { name } = this.registered;
    let claimed: Claimed | undefined;
    let prepared: object | undefined;
    try {
      await this.unitOfWork.run(async () => {
        [claimed] = await this.unitOfWork.query(lease, [eventId, name, attemptLeaseSeconds]);
        if (!claimed) return;
        prepared = await consumer.prepare(eventOf(eventId, claimed));
        if (!prepared) await this.unitOfWork.query(finish, [eventId, name, claimed.attempt]);
      });
    } catch (error) {
      if (!claimed || isOurs(error)) throw error;
      return this.failed(eventId, claimed.attempt - 1, claimed.attempt, error);
    }
    if (!claimed) return 'skipped';
    if (!prepared) return 'done';

    const { attempt } = claimed;
    const event = eventOf(eventId, claimed);
    const sent = prepared;
    try {
      await consumer.send(event, sent);
    } catch (error) {
      if (isOurs(error)) {
        await this.unitOfWork.run(() => this.unitOfWork.query(giveBack, [eventId, name, attempt, pauseSeconds]));
        throw error;
      }
      if (error instanceof EffectFailed) permit[error.kind.unwell ? 'failed' : 'succeeded']();
      const outcome = await this.failed(eventId, attempt, attempt, error);
      if (outcome !== 'fenced') return outcome;
      // It may have had its effect all the same, and behind that of the attempt which counts.
      const wasOvertaken = await this.unitOfWork.run(() => this.repeatIfOvertaken(consumer, event, sent));
      return wasOvertaken ? 'overtaken' : outcome;
    }
    permit.succeeded();
    return this.unitOfWork.run(async () => {
      if (await this.repeatIfOvertaken(consumer, event, sent)) return 'overtaken';
      const finished = await this.unitOfWork.query(finish, [eventId, name, attempt]);
      return finished.length > 0 ? 'done' : this.fencedOff(eventId, attempt);
    });
  }

  private async repeatIfOvertaken(consumer: ExternalConsumer, event: DomainEvent, sent: object): Promise<boolean> {
    if (!consumer.isStillSo || (await consumer.isStillSo(event, sent))) return false;
    await this.unitOfWork.query(repeat, [event.id, this.registered.name]);
    return true;
  }

  /** Records a failure. @param held the attempts that the row has unless somebody else began another one */
  private async failed(eventId: string, held: number, attempt: number, error: unknown): Promise<Outcome> {
    const { name } = this.registered;
    const kind = error instanceof EffectFailed ? error.kind : undefined;
    const errorClass = kind?.errorClass ?? 'internal';
    const isDead = attempt >= maxAttempts || kind?.retryable === false;
    const delayMs = retryDelayMs(attempt, kind?.retryAfterMs, Math.random());
    const values = [eventId, name, held, attempt, errorClass, delayMs, isDead];
    const recorded = await this.unitOfWork.run(() => this.unitOfWork.query(fail, values));
    if (recorded.length === 0) return this.fencedOff(eventId, attempt);
    const fields = { consumer: name, eventId, attempt, errorClass, ...(kind ? {} : { err: error }) };
    this.log.warn(fields, isDead ? 'A delivery is dead' : 'A delivery failed and will be repeated');
    return isDead ? 'dead' : 'retry';
  }

  private fencedOff(eventId: string, attempt: number): Outcome {
    this.log.warn(
      { consumer: this.registered.name, eventId, attempt },
      'An attempt outlived its lease; a later one counts',
    );
    return 'fenced';
  }
}

function eventOf(id: string, { type, tenantId, payload, occurredAt }: Claimed): DomainEvent {
  return { id, type, tenantId, payload, occurredAt };
}

function isOurs(error: unknown): boolean {
  return error instanceof DatabaseUnavailable || error instanceof DatabaseBusy || error instanceof StatementCancelled;
}
