import { Injectable } from '@nestjs/common';
import { type DeadLetter, DeadLetters } from '../../platform/outbox/dead-letters';
import { Log } from '../../platform/telemetry';
import { type Caller, keysOf, type Page, pageFrom } from '../../policy';
import { DeadLetterUnknown, NotDead } from './dead-letters.errors';
import type { ListDeadLetters } from './dto/dead-letter.view';

@Injectable()
export class DeadLettersService {
  constructor(
    private readonly deadLetters: DeadLetters,
    private readonly log: Log,
  ) {}

  /** Newest events first. */
  async list({ limit, cursor, consumer }: ListDeadLetters): Promise<Page<DeadLetter>> {
    const [eventId = '', name = ''] = cursor === undefined ? [] : keysOf(cursor, 2);
    const after = cursor === undefined ? undefined : { eventId, consumer: name };
    const rows = await this.deadLetters.list(after, consumer, limit);
    return pageFrom(rows, limit, (last) => [last.eventId, last.consumer]);
  }

  /**
   * Gives a delivery the full schedule of retries again, from now.
   * @throws DeadLetterUnknown, NotDead
   */
  async retry(caller: Caller, id: string): Promise<{ id: string; status: string }> {
    switch (await this.deadLetters.retry(id)) {
      case 'retried':
        this.log.info({ actor: caller.userId, deadLetter: id }, 'A dead letter is tried again');
        return { id, status: 'pending' };
      case 'not_dead':
        throw new NotDead(id);
      case 'unknown':
        throw new DeadLetterUnknown();
    }
  }
}
