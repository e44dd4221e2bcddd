import { newId } from '../identifiers';
import { Log } from '../telemetry';
import type { Config } from '../config';
import { AuditConnections } from './audit-connections';
import { AuditWriter } from './audit-writer';

/**
 * Records what an operator's program is about to do with one practice's data, in that practice's chain; resolves once the
 * entry is durable, so that nothing is done without one. The actor is the program: who may run it is the machine's to say.
 * @param action `<thing>.<verb>`
 * @throws ChainStuck, DatabaseUnavailable, StatementCancelled
 */
export async function recordProgram(config: Config, practice: string, action: string): Promise<void> {
  const connections = new AuditConnections(config, new Log(config));
  const id = newId('run');
  const entry = {
    practice,
    actor: 'program',
    clientId: null,
    role: null,
    action,
    outcome: 'allowed',
    code: null,
    route: null,
    subjects: [practice],
    subjectPractice: null,
    detail: null,
    correlationId: id,
    requestId: id,
    ip: null,
  } as const;
  try {
    await new AuditWriter(connections).write(new Map([[practice, [{ entry, at: Date.now() }]]]));
  } finally {
    await connections.close();
  }
}
