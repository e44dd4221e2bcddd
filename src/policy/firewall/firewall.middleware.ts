import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Response } from 'express';
import { Clock, Config } from '../../platform/config';
import { PolicyRefusal } from '../errors/policy-refusal';
import { problemOf } from '../errors/problem';
import { send } from '../errors/problem.filter';
import type { GateRequest } from '../request-state';
import { AddressLimit } from './address-limit';
import { addressKey } from './addresses';
import { FirewallRecord } from './firewall-record';
import { type HeadLimits, judgeHead } from './request-head';

/**
 * Refuses, before anything is looked up, decoded or parsed: an address that sends too fast (429), a target or headers
 * that are too large (414, 431), and heads that two readers could read differently (400, 403).
 *
 * A middleware, not a guard: unknown routes, too, must cost an attacker more than they cost us.
 */
@Injectable()
export class FirewallMiddleware implements NestMiddleware<GateRequest, Response> {
  private readonly addresses: AddressLimit;
  private readonly limits: HeadLimits;

  constructor(
    config: Config,
    private readonly clock: Clock,
    private readonly record: FirewallRecord,
  ) {
    this.addresses = new AddressLimit(config.get('FIREWALL_IP_PER_SECOND'), config.get('FIREWALL_IP_BURST'));
    this.limits = {
      maxTargetBytes: config.get('FIREWALL_MAX_URL_BYTES'),
      maxHeaderBytes: config.get('FIREWALL_MAX_HEADER_BYTES'),
    };
  }

  use(request: GateRequest, response: Response, next: NextFunction): void {
    const waitMs = this.addresses.take(addressKey(request.gate.ip), this.clock.now());
    if (waitMs > 0) {
      this.record.limited();
      send(request, response, problemOf(tooFast(waitMs)));
      return;
    }
    const refused = judgeHead(request, this.limits);
    if (refused) {
      this.record.refused(refused.rule, 'head');
      send(request, response, problemOf(refused.refusal));
      return;
    }
    next();
  }
}

function tooFast(waitMs: number): PolicyRefusal {
  const retryAfter = Math.ceil(waitMs / 1000);
  return new PolicyRefusal(429, 'address_rate_limited', 'Rate limit exceeded', 'This address sends too many requests', {
    headers: { 'Retry-After': String(retryAfter) },
    members: { retryAfter },
  });
}
