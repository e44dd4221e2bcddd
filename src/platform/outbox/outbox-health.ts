import { Injectable } from '@nestjs/common';
import { RelayWorker } from './relay-worker';

/** How the way from the outbox onto the queues stands, for whoever tells of this process' health. */
@Injectable()
export class OutboxHealth {
  constructor(private readonly relay: RelayWorker) {}

  /**
   * Whether this process moves events onto its queues; `undefined` where it has no such role. Costs nothing: the loops ask
   * Postgres and each queue all the time, and this tells what they heard last.
   */
  get isWell(): boolean | undefined {
    return this.relay.isWell;
  }
}
