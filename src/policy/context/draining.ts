import { Injectable } from '@nestjs/common';

/** Whether this process is about to stop: it still answers, and asks each client to come back on another connection. */
@Injectable()
export class Draining {
  private begun = false;

  get hasBegun(): boolean {
    return this.begun;
  }

  begin(): void {
    this.begun = true;
  }
}
