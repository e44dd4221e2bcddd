import { DomainError } from '../../policy';

export class DeadLetterUnknown extends DomainError {
  constructor() {
    super('dead_letter_unknown', 'not_found', 'Dead letter not found');
  }
}

/** The delivery is pending or done: somebody retried it before. */
export class NotDead extends DomainError {
  constructor(id: string) {
    super('not_dead', 'conflict', 'The delivery is not dead', { id });
  }
}
