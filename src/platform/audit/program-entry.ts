import { Clock, type Config } from '../config';
import { statement } from '../database';
import { newId } from '../identifiers';
import { nameOf, type Tenant, tenantHomes } from '../tenant-data';
import { Log } from '../telemetry';
import { AuditConnections } from './audit-connections';
import { AuditWriter } from './audit-writer';
import { type AuditDetail, type AuditEntry, platformChain } from './entry';

/** One that was erased still has its chain. */
const known = ({ kind }: Tenant) =>
  statement(
    `audit.${kind}`,
    `SELECT FROM ${tenantHomes[kind]} WHERE id = $1 UNION ALL (SELECT FROM audit_entries WHERE practice_id = $1 LIMIT 1)`,
  );

/** What an entry says of a program that has ended. */
export interface ProgramEnd extends Pick<AuditEntry, 'outcome'> {
  readonly code: string;
  readonly detail?: AuditDetail;
}

/**
 * Records what an operator's program is about to do, in the chain of the tenant whose data it touches, or in the platform's;
 * resolves once the entry is durable, so that nothing is done without one. The actor is the program: who may run it is the
 * machine's to say, and who did is what he says himself.
 * @param tenant `undefined` where it is about all of them
 * @param action `<thing>.<verb>`
 * @param by who runs it, as he says
 * @param ended what became of it, where that is recorded, too
 * @throws Error where there is no such tenant; ChainStuck, DatabaseUnavailable, StatementCancelled
 */
export async function recordProgram(
  config: Config,
  tenant: Tenant | undefined,
  action: string,
  by: string | undefined,
  ended?: ProgramEnd,
): Promise<void> {
  const connections = new AuditConnections(config, new Log(config));
  const id = newId('run');
  const chain = tenant?.id ?? platformChain;
  const entry = {
    practice: chain,
    actor: 'program',
    clientId: null,
    role: null,
    action,
    outcome: ended?.outcome ?? 'allowed',
    code: ended?.code ?? null,
    route: null,
    subjects: tenant === undefined ? [] : [tenant.id],
    subjectPractice: null,
    detail: by === undefined && ended === undefined ? null : { ...(by !== undefined && { by }), ...ended?.detail },
    correlationId: id,
    requestId: id,
    ip: null,
  } as const satisfies AuditEntry;
  try {
    if (tenant && (await connections.read((sql) => sql.query(known(tenant), [tenant.id]))).length === 0) {
      throw new Error(`There is no ${nameOf(tenant)}`);
    }
    await new AuditWriter(connections).write(new Map([[chain, [{ entry, at: new Clock().now() }]]]));
  } finally {
    await connections.close();
  }
}
