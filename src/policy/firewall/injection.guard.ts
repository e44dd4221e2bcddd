import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { PolicyRefusal } from '../errors/policy-refusal';
import { requestOf, routeOf } from '../request-state';
import type { RoutePolicies } from '../routes';
import { type Exemptions, exemptionsOf } from './exemptions';
import { FirewallRecord } from './firewall-record';
import { type Hit, screen } from './screening';
import { suspiciousQuery } from './signatures';

interface RouteExemptions {
  readonly query: Exemptions;
  readonly body: Exemptions;
}

/**
 * Refuses a query or a parsed body in which an injection signature hits (403 with the rule's id), before anyone is
 * authenticated. A guard, because only a matched route tells which properties are free text.
 */
@Injectable()
export class InjectionGuard implements CanActivate {
  private readonly exemptions = new WeakMap<RoutePolicies, RouteExemptions>();

  constructor(private readonly record: FirewallRecord) {}

  canActivate(context: ExecutionContext): boolean {
    const request = requestOf(context);
    const mark = request.url.indexOf('?');
    const body: unknown = request.body;
    const hasQuery = mark !== -1 && suspiciousQuery.test(request.url.slice(mark + 1));
    if (!hasQuery && (typeof body !== 'object' || body === null)) return true;
    const exemptions = this.exemptionsOf(routeOf(context));
    if (hasQuery) this.refuse(screen(request.query, 'query', exemptions.query), 'query');
    this.refuse(screen(body, 'body', exemptions.body), 'body');
    return true;
  }

  private exemptionsOf(route: RoutePolicies): RouteExemptions {
    let exemptions = this.exemptions.get(route);
    if (!exemptions) {
      exemptions = { query: exemptionsOf(route.inputs.query), body: exemptionsOf(route.inputs.body) };
      this.exemptions.set(route, exemptions);
    }
    return exemptions;
  }

  private refuse(hit: Hit | undefined, place: 'query' | 'body'): void {
    if (!hit) return;
    const { id } = hit.signature;
    this.record.refused(id, place);
    throw new PolicyRefusal(403, 'firewall_rule', 'Forbidden', `The ${place} looks like an attack`, {
      errors: [{ path: hit.pointer, message: `The firewall rule ${id} refuses it` }],
      members: { ruleId: id },
    });
  }
}
