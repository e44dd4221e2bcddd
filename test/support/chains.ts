import type { Client } from 'pg';
import type { World } from './world';

/** Holds a chain of the audit log, as one that appends to it does; ends with the client. */
export async function holdChain(world: World, practice: string): Promise<Client> {
  const holder = await world.clientOf('superuser');
  await holder.query('INSERT INTO audit_chains (chain) VALUES ($1) ON CONFLICT DO NOTHING', [practice]);
  await holder.query('BEGIN');
  await holder.query('SELECT FROM audit_chains WHERE chain = $1 FOR UPDATE', [practice]);
  return holder;
}

/** How many connections of the audit log wait for a lock. (Worlds share a cluster, and with it `pg_locks`.) */
export async function waitingForChains(world: World): Promise<number> {
  const waiting = await world.sql(
    `SELECT FROM pg_stat_activity WHERE datname = current_database()
       AND application_name LIKE 'gatehouse-audit-%' AND wait_event_type = 'Lock'`,
  );
  return waiting.length;
}
