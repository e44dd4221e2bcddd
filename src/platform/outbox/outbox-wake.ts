import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { Context, freshContext } from '../context';
import { statement, UnitOfWork } from '../database';
import { Log } from '../telemetry';

/** `NOTIFY` takes a lock of the whole server at commit: at most one in so many milliseconds, whatever is booked. */
const gatherMs = 20;
export const wakeChannel = 'gatehouse_outbox';

const notify = statement('outbox.notify', `SELECT pg_notify('${wakeChannel}', '')`);

/** Tells the relay that there are new events. Losing a call costs a poll's interval, never an event. */
@Injectable()
export class OutboxWake implements OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private readonly local: (() => void)[] = [];

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly context: Context,
    private readonly log: Log,
  ) {}

  /** Call it once an event is written, before or after the commit; costs a comparison while a wake-up is under way. */
  soon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      if (this.local.length > 0) this.local.forEach((wake) => wake());
      else this.notify();
    }, gatherMs).unref();
  }

  /** Wakes somebody in this process, which makes the round over Postgres needless. */
  whenWoken(wake: () => void): void {
    this.local.push(wake);
  }

  onApplicationShutdown(): void {
    clearTimeout(this.timer);
  }

  private notify(): void {
    // A context of its own: the timer was set in that of a request, whose transaction is over.
    const id = randomUUID();
    const context = freshContext({ correlationId: id, requestId: id, traceparent: undefined });
    this.context
      .run(context, () => this.unitOfWork.run(() => this.unitOfWork.query(notify)))
      .catch((error: unknown) =>
        this.log.debug({ err: error }, 'The relay was not woken; its poll will find the events'),
      );
  }
}
