import type { World } from '../../../test/support/world';
import { Config, ManualClock } from '../config';
import { Log, Metrics } from '../telemetry';
import { AuditAnchor } from './audit-anchor';
import { AuditConnections } from './audit-connections';
import { AuditTrail } from './audit-trail';
import { AuditWriter } from './audit-writer';
import type { AuditEntry } from './entry';

/** The audit log of one process. */
export interface AuditNode {
  readonly trail: AuditTrail;
  readonly anchor: AuditAnchor;
  readonly connections: AuditConnections;
  readonly clock: ManualClock;
  readonly metrics: Metrics;
}

export function auditNode(world: World, environment: Record<string, string> = {}): AuditNode {
  const config = Config.from({ ...world.environment, NODE_ENV: 'test', LOG_LEVEL: 'silent', ...environment });
  const [log, metrics, clock] = [new Log(config), new Metrics(), new ManualClock()];
  const connections = new AuditConnections(config, log);
  return {
    trail: new AuditTrail(new AuditWriter(connections), clock, log, metrics),
    anchor: new AuditAnchor(config, connections, clock, metrics, log),
    connections,
    clock,
    metrics,
  };
}

export const entryOf = (practice: string, changes: Partial<AuditEntry> = {}): AuditEntry => ({
  practice,
  actor: 'user_a',
  clientId: 'app_a',
  role: 'provider',
  action: 'patient.read',
  outcome: 'allowed',
  code: null,
  route: 'GET /patients/:id',
  subjects: ['pat_1'],
  subjectPractice: null,
  detail: null,
  correlationId: 'c',
  requestId: 'r',
  ip: '127.0.0.1',
  ...changes,
});
