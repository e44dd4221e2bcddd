import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { NextFunction, Response } from 'express';
import { Clock, Config } from '../../platform/config';
import { closeGently } from '../body/gentle-close';
import { PolicyRefusal } from '../errors/policy-refusal';
import { problemOf } from '../errors/problem';
import { Problems } from '../errors/problems';
import type { GateRequest } from '../request-state';
import { type ReportSubject, subjectOf } from '../throttling/limits';
import { policyHeader, writeHeaders } from '../throttling/rate-headers';
import { AddressLimit } from './address-limit';
import { addressKey } from './addresses';
import { FirewallRecord } from './firewall-record';
import { type HeadLimits, judgeHead } from './request-head';

/**
 * Refuses, before anything is looked up, decoded or parsed: an address that sends too fast (429), a target or headers
 * that are too large (414, 431), an unknown expectation (417), and heads that two readers could read differently (400, 403).
 *
 * A middleware, not a guard: unknown routes, too, must cost an attacker more than they cost us.
 */
@Injectable()
export class FirewallMiddleware implements NestMiddleware<GateRequest, Response> {
  private readonly addresses: AddressLimit;
  private readonly subject: ReportSubject;
  private readonly policy: string;
  private readonly limits: HeadLimits;

  constructor(
    config: Config,
    private readonly clock: Clock,
    private readonly record: FirewallRecord,
    private readonly problems: Problems,
  ) {
    const perSecond = config.get('FIREWALL_IP_PER_SECOND');
    const burst = config.get('FIREWALL_IP_BURST');
    this.addresses = new AddressLimit(perSecond, burst);
    this.subject = subjectOf('address', burst, Math.ceil(burst / perSecond));
    this.policy = policyHeader({ subjects: [this.subject] });
    this.limits = {
      maxTargetBytes: config.get('FIREWALL_MAX_URL_BYTES'),
      maxHeaderBytes: config.get('FIREWALL_MAX_HEADER_BYTES'),
    };
  }

  use(request: GateRequest, response: Response, next: NextFunction): void {
    const now = this.clock.now();
    const waitMs = this.addresses.take(addressKey(request.gate.ip), now);
    if (waitMs > 0) {
      this.record.limited();
      const report = { subject: this.subject, allowed: false, remaining: 0, resetMs: waitMs, retryAfterMs: waitMs };
      writeHeaders(response, this.policy, [report], now);
      this.problems.send(request, response, problemOf(tooFast(waitMs)));
      return;
    }
    const refused = judgeHead(request, this.limits);
    if (refused) {
      this.record.refused(refused.rule, 'head');
      // Whether what follows is the body or another request, only the client knows.
      if (refused.refusal.status === 417) closeGently(request, response);
      this.problems.send(request, response, problemOf(refused.refusal));
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
