import { createHmac } from 'node:crypto';
import pg from 'pg';
import { translate } from './database.errors';

/** The alphabet of tenant identifiers is closed. */
const tenantPattern = /^[A-Za-z0-9_.:-]{1,64}$/;
/** Signed tenants in memory at once; beyond that they are signed anew, for microseconds each. */
const mostKnown = 10_000;
/** How long Postgres may take to be reached, and to say the key, in milliseconds. */
const answerWaitMs = 10_000;

/**
 * Signs the names of tenants, so that Postgres takes them from the application alone: SQL that somebody smuggles into a
 * connection of the runtime role can set `gatehouse.tenant`, too, but has no key to sign another tenant's name with.
 */
export class TenantSigner {
  private readonly known = new Map<string, string>();

  constructor(private readonly key: Buffer) {}

  /**
   * With the key of the database, which the role for cross-tenant work may read and the runtime role may not.
   * @throws DatabaseUnavailable; Error where the database has no key
   */
  static async load(systemUrl: string): Promise<TenantSigner> {
    const client = new pg.Client({
      connectionString: systemUrl,
      application_name: 'gatehouse-tenant-signer',
      connectionTimeoutMillis: answerWaitMs,
      query_timeout: answerWaitMs,
    });
    try {
      await client.connect();
      const { rows } = await client.query<{ key: Buffer }>('SELECT key FROM tenant_keys ORDER BY id DESC LIMIT 1');
      if (rows[0] === undefined)
        throw new Error('The table tenant_keys is empty: SELECT make_tenant_key() as its owner');
      return new TenantSigner(rows[0].key);
    } catch (error) {
      throw translate(error);
    } finally {
      await client.end();
    }
  }

  /** What `gatehouse.tenant` must hold for its rows to be seen. @throws Error for what cannot be a tenant's name */
  sign(tenant: string): string {
    const known = this.known.get(tenant);
    if (known !== undefined) return known;
    if (!tenantPattern.test(tenant)) throw new Error('The tenant identifier has characters that none may have');
    const signed = `${tenant}~${createHmac('sha256', this.key).update(tenant).digest('hex')}`;
    if (this.known.size >= mostKnown) this.known.clear();
    this.known.set(tenant, signed);
    return signed;
  }
}
