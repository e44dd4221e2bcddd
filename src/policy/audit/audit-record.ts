import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { type AuditEntry, type AuditOutcome, AuditTrail, crossPracticeCode, platformChain } from '../../platform/audit';
import { SystemDatabase } from '../../platform/database/system';
import type { Rendered } from '../../platform/http';
import { isIdentifier } from '../../platform/identifiers';
import { Log, Metrics } from '../../platform/telemetry';
import { DomainError } from '../errors/domain-error';
import { ForeignTenant } from '../errors/foreign-tenant';
import type { Problem } from '../errors/problem';
import { type Refused, RefusalRecord } from '../errors/refusal-record';
import type { Passage } from '../pipeline/around';
import type { GateRequest, RequestState } from '../request-state';
import { isTenantName } from '../tenancy/tenant-name';
import type { Audit } from './audited.decorator';
import { OwnedKinds } from './owned-kinds';
import { RefusalTally } from './refusal-tally';
import { type Owner, RefusedSubjects } from './refused-subjects';
import { RepeatedRefusals } from './repeated-refusals';

type Said = Pick<AuditEntry, 'action' | 'outcome' | 'code'> &
  Partial<Pick<AuditEntry, 'subjects' | 'subjectPractice' | 'detail'>>;

/** The action of a route that names none: only its refusals are recorded. */
const plainAction = 'request';

/** Values of a refused request that are read, of each part and list. */
const mostRead = 1_000;
/** Things that an entry says to have been named by path and query. */
const mostNamed = 20;

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
    private readonly kinds: OwnedKinds,
    system: SystemDatabase,
    metrics: Metrics,
  ) {
    super();
    this.tally = new RefusalTally(trail);
    this.repeated = new RepeatedRefusals(trail);
    this.refusedSubjects = new RefusedSubjects(system, trail, log, ({ entry }, owner) => {
      const attempt = this.attempted(entry, owner);
      if (!this.repeated.count(attempt)) void trail.offer(attempt, { urgent: true });
    });
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

  /**
   * What the domain could not do on an audited route. A conflict tells of something that is there (a slot is taken), so that it
   * is to be awaited, as a refusal is; an id that nobody has is recorded in the background.
   */
  failed({ request }: Passage, { action }: Audit, error: DomainError): Promise<void> | undefined {
    const subjects = namedBy(request);
    const entry = entryOf(request.gate, { action, outcome: 'failed', code: error.code, subjects });
    const recorded = this.trail.offer(entry);
    this.lookUp(request, entry);
    return error.kind === 'conflict' ? recorded : undefined;
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
    const action = route?.audited?.action ?? plainAction;
    const entry = entryOf(gate, { action, outcome: 'refused', code: problem.code, subjects: namedBy(request) });
    if (error instanceof ForeignTenant) return this.trail.offer(this.attempted(entry, error), { urgent: true });
    this.lookUp(request, entry);
    return this.repeated.count(entry) ? undefined : this.trail.offer(entry);
  }

  /** Finds out later whether something that it named is another practice's, which nobody has looked at. */
  private lookUp(request: Refused, entry: AuditEntry): void {
    const ids = [...new Set(askedFor(request).filter((value) => this.kinds.isOwned(value)))];
    if (ids.length > 0) this.refusedSubjects.add({ ids, practice: request.gate.caller?.practiceId, entry });
  }

  /** Counts and logs a cross-practice attempt, and says what its entry does. */
  private attempted(refusal: AuditEntry, { subjectType, subjectId, ownerPractice }: Owner): AuditEntry {
    this.crossPracticeAttempts.inc();
    this.log.warn(
      { actor: refusal.actor, practice: refusal.practice, ownerPractice, subjectType, subject: subjectId },
      'Something of another practice was asked for',
    );
    return {
      ...refusal,
      code: crossPracticeCode,
      subjects: [subjectId],
      subjectPractice: ownerPractice,
      detail: { subjectType },
    };
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

/** What the path names, and what the query says to be an id. */
function namedBy({ params = {}, query = {} }: Pick<Refused, 'params' | 'query'>): string[] {
  const ids = Object.entries(query as object).filter(([name]) => name.endsWith('Id'));
  const named = [...Object.values(params), ...ids.map(([, id]: [string, unknown]) => id)].filter(isIdentifier);
  return [...new Set(named)].slice(0, mostNamed);
}

/** What path, query and body name, in lists, too; of all that a refused request may say, so much is looked at. */
function askedFor({ params, query, body }: Refused): unknown[] {
  const said: unknown[] = [params, query, body].flatMap((part) =>
    typeof part === 'object' && part !== null ? Object.values(part as Record<string, unknown>).slice(0, mostRead) : [],
  );
  return said.flatMap((value): unknown[] => (Array.isArray(value) ? value.slice(0, mostRead) : [value]));
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
