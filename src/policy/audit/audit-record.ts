import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { type AuditEntry, type AuditOutcome, AuditTrail, crossPracticeCode, platformChain } from '../../platform/audit';
import { SystemDatabase } from '../../platform/database/system';
import type { Rendered } from '../../platform/http';
import { Log, Metrics } from '../../platform/telemetry';
import type { Caller } from '../auth/caller';
import { DomainError } from '../errors/domain-error';
import { ForeignTenant } from '../errors/foreign-tenant';
import type { Problem } from '../errors/problem';
import { type Refused, RefusalRecord } from '../errors/refusal-record';
import type { Passage } from '../pipeline/around';
import type { GateRequest, RequestState } from '../request-state';
import { isTenantName } from '../tenancy/tenant-name';
import type { Audit } from './audited.decorator';
import { RefusalTally } from './refusal-tally';
import { type Owner, RefusedSubjects } from './refused-subjects';
import { RepeatedRefusals } from './repeated-refusals';

type Said = Pick<AuditEntry, 'action' | 'outcome' | 'code'> &
  Partial<Pick<AuditEntry, 'subjects' | 'subjectPractice' | 'detail'>>;

/** The action of a route that names none: only its refusals are recorded. */
const plainAction = 'request';

/** Things that one refused request is looked at for. */
const mostAsked = 10;

/** Says in the words of the audit log what became of a request. */
@Injectable()
export class AuditRecord extends RefusalRecord implements OnApplicationShutdown {
  private readonly tally: RefusalTally;
  private readonly repeated: RepeatedRefusals;
  private readonly refusedSubjects: RefusedSubjects;
  private readonly crossPracticeAttempts: Counter;

  constructor(
    private readonly trail: AuditTrail,
    private readonly log: Log,
    system: SystemDatabase,
    metrics: Metrics,
  ) {
    super();
    this.tally = new RefusalTally(trail);
    this.repeated = new RepeatedRefusals(trail);
    this.refusedSubjects = new RefusedSubjects(system, log);
    this.crossPracticeAttempts = metrics.counter(
      'cross_practice_access_attempts_total',
      'Requests for something of another practice; the threshold is zero',
    );
  }

  /** The use of a permission; resolves once it is durable. @throws AuditUnavailable */
  allowed({ request }: Passage, audit: Audit, source: unknown): Promise<void> {
    return this.append(request, audit, source, null);
  }

  /** An answer that was kept and is told again, whose text alone says of what; as `allowed`. */
  replayed({ request }: Passage, audit: Audit, { text }: Rendered): Promise<void> {
    const source: unknown = audit.knownBy === 'request' ? request : JSON.parse(text ?? '{}');
    return this.append(request, audit, source, 'replayed');
  }

  /** What the domain could not do on an audited route, such as an id that nobody has; in the background. */
  failed({ request }: Passage, { action }: Audit, error: DomainError): void {
    const subjects = namedBy(request);
    void this.trail.offer(entryOf(request.gate, { action, outcome: 'failed', code: error.code, subjects }));
  }

  /**
   * A caller's refusal is to be awaited; that of an unknown caller, or what one caller is refused over and over, is counted,
   * and written within about a second. A cross-practice attempt has an entry of its own; one whose caller may not do
   * what he tried in his own practice either is found out within as long, and counted as his other refusals are.
   */
  refused(request: Refused, problem: Problem, error: unknown): Promise<void> | undefined {
    const { gate } = request;
    const { caller, route } = gate;
    if (!caller) {
      this.tally.count(gate.ip, problem.code, route?.name);
      return undefined;
    }
    if (error instanceof ForeignTenant) return this.trail.offer(this.attempted(gate, caller, error), { urgent: true });
    const { practiceId } = caller;
    if (practiceId !== undefined) {
      const ids = askedFor(request);
      const onForeign = (owner: Owner) => {
        const attempt = this.attempted(gate, caller, owner);
        if (!this.repeated.count(attempt)) void this.trail.offer(attempt, { urgent: true });
      };
      if (ids.length > 0) this.refusedSubjects.add({ ids, practice: practiceId, onForeign });
    }
    const action = route?.audited?.action ?? plainAction;
    const entry = entryOf(gate, { action, outcome: 'refused', code: problem.code, subjects: namedBy(request) });
    return this.repeated.count(entry) ? undefined : this.trail.offer(entry);
  }

  /** Counts and logs a cross-practice attempt, and says what its entry does. */
  private attempted(gate: RequestState, caller: Caller, { subjectType, subjectId, ownerPractice }: Owner): AuditEntry {
    this.crossPracticeAttempts.inc();
    this.log.warn(
      { actor: caller.userId, practice: caller.practiceId, ownerPractice, subjectType, subject: subjectId },
      'Something of another practice was asked for',
    );
    return entryOf(gate, {
      action: gate.route?.audited?.action ?? plainAction,
      outcome: 'refused',
      code: crossPracticeCode,
      subjects: [subjectId],
      subjectPractice: ownerPractice,
      detail: { subjectType },
    });
  }

  private append(request: GateRequest, audit: Audit, source: unknown, code: string | null): Promise<void> {
    const told = audit.subjects(source as never).filter((subject) => subject !== undefined);
    // An empty list of somebody's tells of him, too.
    const subjects = [...new Set([...told, ...namedBy(request)])];
    const { gate } = request;
    const entry = entryOf(gate, { action: audit.action, outcome: 'allowed', code, subjects });
    return this.trail.append(entry, gate.work.workClass === 'critical');
  }

  async onApplicationShutdown(): Promise<void> {
    await this.refusedSubjects.close();
    await Promise.all([this.tally.close(), this.repeated.close()]);
  }
}

/** An identifier of ours: what else a client writes into a path may be anything, a name for example. */
const identifier = /^[a-z]{2,8}_[A-Za-z0-9_]{1,56}$/;

/** What the path names. */
function namedBy({ params = {} }: Pick<Refused, 'params'>): string[] {
  return Object.values(params).filter((value): value is string => typeof value === 'string' && identifier.test(value));
}

/** What path, query and body name, at most so many: a refused request is not worth more. */
function askedFor({ params, query, body }: Refused): string[] {
  const values = [params, query, body].flatMap((part) =>
    typeof part === 'object' && part !== null ? Object.values(part as Record<string, unknown>).slice(0, mostAsked) : [],
  );
  const named = values.filter((value): value is string => typeof value === 'string' && identifier.test(value));
  return [...new Set(named)].slice(0, mostAsked);
}

function entryOf(
  gate: RequestState,
  { subjects = [], subjectPractice = null, detail = null, ...said }: Said,
): AuditEntry {
  const { caller, route, work, ip } = gate;
  return {
    practice: chainOf(gate, said.outcome),
    actor: caller?.userId ?? null,
    clientId: caller?.clientId ?? null,
    role: caller?.role ?? null,
    ...said,
    route: route?.name ?? null,
    subjects,
    subjectPractice,
    detail,
    correlationId: work.correlationId,
    requestId: work.requestId,
    ip,
  };
}

/**
 * A practice's officer sees what its own people did and tried. What an operator does across tenants is the platform's, even
 * if the token names a practice.
 */
function chainOf({ caller, route }: RequestState, outcome: AuditOutcome): string {
  if (outcome !== 'refused' && route?.crossTenant !== undefined) return platformChain;
  const practice = caller?.practiceId;
  return practice !== undefined && isTenantName(practice) ? practice : platformChain;
}
