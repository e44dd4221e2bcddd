import { Injectable } from '@nestjs/common';
import { Rendered } from '../../platform/http';
import { statement, UnitOfWork } from '../../platform/database';

/** Serialises requests with one key until the first one's transaction ends; the lock goes with the transaction. */
const lock = statement('idempotency.lock', `SELECT pg_advisory_xact_lock($1)`);

const find = statement<{ requestHash: Buffer; status: number; body: string | null }>(
  'idempotency.find',
  `SELECT request_hash AS "requestHash", status, body FROM idempotency_records
   WHERE tenant_id = $1 AND key_hash = $2 AND expires_at > now()`,
);

const keep = statement(
  'idempotency.keep',
  `INSERT INTO idempotency_records (tenant_id, key_hash, request_hash, status, body, expires_at)
   VALUES ($1, $2, $3, $4, $5, now() + interval '24 hours')
   ON CONFLICT (tenant_id, key_hash) DO UPDATE
     SET request_hash = excluded.request_hash, status = excluded.status, body = excluded.body,
         expires_at = excluded.expires_at`,
);

export interface IdempotencyRecord {
  readonly requestHash: Buffer;
  readonly answer: Rendered;
}

/** The answers given under an idempotency key, in the transaction of the work they belong to. */
@Injectable()
export class IdempotencyStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** Waits until no other request works under this key, then reads what was answered; one round trip, one indexed read. */
  async claim(tenant: string, keyHash: Buffer): Promise<IdempotencyRecord | undefined> {
    const locked = { values: [keyHash.readBigInt64BE(0).toString()], ...lock };
    const [row] = await this.unitOfWork.queryBehind([locked], find, [tenant, keyHash]);
    return row && { requestHash: row.requestHash, answer: new Rendered(row.status, row.body ?? undefined) };
  }

  /** Keeps the answer and commits it together with the work; both travel in one message. */
  async keepAndCommit(tenant: string, keyHash: Buffer, requestHash: Buffer, answer: Rendered): Promise<void> {
    const values = [tenant, keyHash, requestHash, answer.status, answer.text ?? null];
    await this.unitOfWork.queryAndCommit(keep, values);
  }
}
