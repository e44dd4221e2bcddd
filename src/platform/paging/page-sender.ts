import type { Counter } from 'prom-client';
import type { Clock } from '../config';
import { MailFailed } from '../mail';
import { EffectFailed } from '../outbox';
import { Loop, type Turn } from '../outbox/loop';
import { retryDelayMs } from '../outbox/settings';
import type { Log } from '../telemetry';
import type { Channel } from './channels';
import type { Notice, PagesStore } from './pages.store';

/** Pages of one channel on their way at once, from one process. */
const mostInFlight = 16;
/** Somebody has to know: it is tried again and again, for as long as it takes. */
const mostRetryMs = 30_000;

/** Sends the pages of one channel: what hangs or fails there delays no other channel. */
export class PageSender {
  private readonly loop: Loop;
  private readonly inFlight = new Set<Promise<void>>();

  constructor(
    private readonly channel: Channel,
    private readonly store: PagesStore,
    private readonly outcomes: Counter<'channel' | 'outcome'>,
    private readonly log: Log,
    clock: Clock,
  ) {
    this.loop = new Loop(`page-${channel.name}`, () => this.draw(), log, clock);
  }

  start(): void {
    this.loop.start();
  }

  /** There are new pages. */
  wake(): void {
    this.loop.wake();
  }

  /** Begins nothing more, and lets what is on its way end. */
  async stop(): Promise<void> {
    await this.loop.stop();
    await Promise.all(this.inFlight);
  }

  /** Does not wait for what it begins: one page that hangs keeps its place, not the others. */
  private async draw(): Promise<Turn> {
    const room = mostInFlight - this.inFlight.size;
    if (room === 0) return 'idle';
    const notices = await this.store.claim(this.channel.name, room);
    for (const notice of notices) {
      const sending = this.send(notice).finally(() => this.inFlight.delete(sending));
      this.inFlight.add(sending);
    }
    return notices.length > 0 ? 'soon' : 'idle';
  }

  /** Never rejects: what cannot be marked is sent again when its lease ends, under the same name. */
  private async send(notice: Notice): Promise<void> {
    const { name } = this.channel;
    const { chain, actor, attempts, firstSeq } = notice.page;
    const what = { channel: name, practice: chain, actor, attempts, firstSeq, tries: notice.tries };
    let outcome: 'sent' | 'retry' | 'overtaken' | 'unmarked';
    try {
      outcome = await this.attempt(notice, what);
    } catch (error) {
      outcome = 'unmarked';
      this.log.warn({ ...what, err: error }, 'A security page could not be marked and may be sent again');
    }
    this.outcomes.inc({ channel: name, outcome });
  }

  private async attempt(notice: Notice, what: Record<string, unknown>): Promise<'sent' | 'retry' | 'overtaken'> {
    try {
      await this.channel.send(notice.page);
    } catch (error) {
      const { errorClass, retryAfterMs } = failureOf(error);
      const delayMs = Math.min(mostRetryMs, retryDelayMs(notice.tries, retryAfterMs, Math.random()));
      this.log.error({ ...what, errorClass, delayMs }, 'A security page did not arrive');
      return (await this.store.postpone(notice, delayMs)) ? 'retry' : 'overtaken';
    }
    this.log.info(what, 'A security page was sent');
    return (await this.store.finish(notice)) ? 'sent' : 'overtaken';
  }
}

function failureOf(error: unknown): { errorClass: string; retryAfterMs?: number | undefined } {
  if (error instanceof EffectFailed) return error.kind;
  return { errorClass: error instanceof MailFailed ? error.errorClass : 'unknown' };
}
