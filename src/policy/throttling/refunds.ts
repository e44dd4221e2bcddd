import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import type { LimitKey } from './limit-keys';
import { type Decision, LimitStore } from './limit-store';
import type { Rule } from './limits';

const charged = Symbol('charged');

interface Charge {
  readonly store: LimitStore;
  readonly rule: Rule;
  readonly keys: readonly LimitKey[];
  readonly weight: number;
  readonly decision: Decision;
}

type Charged = Response & { [charged]?: Charge };

/** Gives a request's share back where the answer is a failure of ours. */
@Injectable()
export class Refunds {
  constructor(private readonly store: LimitStore) {}

  /** Looks at the answer when it is out. One shared listener, no closure a request. */
  arrange(response: Charged, rule: Rule, keys: readonly LimitKey[], weight: number, decision: Decision): void {
    response[charged] = { store: this.store, rule, keys, weight, decision };
    response.once('finish', refundFailure);
  }
}

function refundFailure(this: Charged): void {
  const charge = this[charged];
  if (charge === undefined || this.statusCode < 500) return;
  const { store, rule, keys, weight, decision } = charge;
  store.refund(rule, keys, weight, decision);
}
