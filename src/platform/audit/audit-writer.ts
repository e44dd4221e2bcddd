import { Injectable } from '@nestjs/common';
import { DatabaseError } from 'pg';
import { statement } from '../database';
import { newId } from '../identifiers';
import { AuditConnections } from './audit-connections';
import { ChainStuck } from './audit.errors';
import { type AuditEntry, saidOf } from './entry';

/** An entry and when it was made, in milliseconds since the Unix epoch. */
export interface TimedEntry {
  readonly entry: AuditEntry;
  readonly at: number;
}

const lockNotAvailable = '55P03';

export const append = statement('audit.append', 'SELECT append_audit_entries($1, $2, $3, $4, $5)');

/** Appends many entries to their chains in one transaction of one round trip. */
@Injectable()
export class AuditWriter {
  constructor(private readonly connections: AuditConnections) {}

  /**
   * Resolves once all of them are durable; else none is, or the connection broke during the commit.
   * @throws ChainStuck, DatabaseUnavailable, StatementCancelled
   */
  async write(chains: ReadonlyMap<string, readonly TimedEntry[]>): Promise<void> {
    try {
      await this.connections.append(append, valuesOf(chains));
    } catch (error) {
      throw error instanceof DatabaseError && error.code === lockNotAvailable ? new ChainStuck(error) : error;
    }
  }
}

/** What `append_audit_entries` is given. */
export function valuesOf(chains: ReadonlyMap<string, readonly TimedEntry[]>): unknown[] {
  const entries = [...chains.values()].flat();
  return [
    [...chains.keys()],
    [...chains.values()].map(({ length }) => length),
    entries.map(() => newId('aud')),
    entries.map(({ at }) => new Date(at).toISOString()),
    `[${entries.map(({ entry }) => saidOf(entry)).join(',')}]`,
  ];
}
