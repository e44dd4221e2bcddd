import { Clock, type Config } from '../config';
import { statement } from '../database';
import { newId } from '../identifiers';
import { Log } from '../telemetry';
import { AuditConnections } from './audit-connections';
import { AuditWriter } from './audit-writer';
import { platformChain } from './entry';

/** One that was erased still has its chain. */
const known = statement(
  'audit.practice',
  'SELECT FROM practices WHERE id = $1 UNION ALL (SELECT FROM audit_entries WHERE practice_id = $1 LIMIT 1)',
);

/**
 * Records what an operator's program is about to do, in the chain of the practice whose data it touches, or in the platform's;
 * resolves once the entry is durable, so that nothing is done without one. The actor is the program: who may run it is the
 * machine's to say.
 * @param practice `undefined` where it is about all of them
 * @param action `<thing>.<verb>`
 * @throws Error where there is no such practice; ChainStuck, DatabaseUnavailable, StatementCancelled
 */
export async function recordProgram(config: Config, practice: string | undefined, action: string): Promise<void> {
  const connections = new AuditConnections(config, new Log(config));
  const id = newId('run');
  const chain = practice ?? platformChain;
  const entry = {
    practice: chain,
    actor: 'program',
    clientId: null,
    role: null,
    action,
    outcome: 'allowed',
    code: null,
    route: null,
    subjects: practice === undefined ? [] : [practice],
    subjectPractice: null,
    detail: null,
    correlationId: id,
    requestId: id,
    ip: null,
  } as const;
  try {
    if (practice !== undefined && (await connections.read((sql) => sql.query(known, [practice]))).length === 0) {
      throw new Error(`There is no practice ${practice}`);
    }
    await new AuditWriter(connections).write(new Map([[chain, [{ entry, at: new Clock().now() }]]]));
  } finally {
    await connections.close();
  }
}
