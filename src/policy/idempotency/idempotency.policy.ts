import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { Rendered } from '../../platform/http';
import { UnitOfWork } from '../../platform/database';
import { AuditRecord } from '../audit/audit-record';
import { PolicyRefusal } from '../errors/policy-refusal';
import type { AroundPolicy, Passage } from '../pipeline/around';
import type { GateRequest } from '../request-state';
import { IdempotencyStore } from './idempotency.store';

/** Printable ASCII, as Stripe takes it; the draft's quoted form is the same string with its quotes. */
const keyPattern = /^[\x21-\x7e]{1,255}$/;

/**
 * Opens the transaction of an idempotent route and keeps its answer inside, so that the answer exists exactly if the work
 * does. Only successes are kept: a refusal rolled everything back, and the same key may try again.
 */
@Injectable()
export class IdempotencyPolicy implements AroundPolicy {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly store: IdempotencyStore,
    private readonly audit: AuditRecord,
  ) {}

  around(passage: Passage, next: () => Promise<unknown>): Promise<unknown> {
    const { request, response, route } = passage;
    if (!route.idempotent) return next();
    const { tenant, actor } = request.gate.work;
    if (tenant === undefined || actor === undefined) throw new Error(`${route.name} is idempotent but has no tenant`);
    const key = keyOf(request);
    const keyHash = digest(actor, route.name, key);
    // With the key, which is not kept: else whoever reads the table could try bodies until one fits, all SSNs for instance.
    const requestHash = digest(key, request.originalUrl, request.gate.rawBody ?? '');

    return this.unitOfWork.run(async () => {
      const record = await this.store.claim(tenant, keyHash);
      if (record) {
        if (!record.requestHash.equals(requestHash)) throw keyReused();
        // What the kept answer tells is told again; its caller is recorded as the first one was.
        const recorded = route.audited && this.audit.replayed(passage, route.audited, record.answer);
        // Nothing was written: the key and the connection are given back while the entry is.
        await Promise.all([recorded, this.unitOfWork.commit()]);
        response.setHeader('Idempotent-Replayed', 'true');
        this.unitOfWork.endReading();
        return record.answer;
      }
      const answer = await next();
      if (!(answer instanceof Rendered)) throw new Error(`${route.name} is idempotent but its answer is not in bytes`);
      await this.store.keepAndCommit(tenant, keyHash, requestHash, answer);
      return answer;
    });
  }
}

function keyOf({ headers }: GateRequest): string {
  const standard = headers['idempotency-key'];
  const prefixed = headers['x-idempotency-key'];
  if (standard !== undefined && prefixed !== undefined && standard !== prefixed) {
    throw invalidKey('Idempotency-Key and X-Idempotency-Key differ');
  }
  const key = standard ?? prefixed;
  if (key === undefined) {
    throw new PolicyRefusal(
      400,
      'idempotency_key_missing',
      'Idempotency key missing',
      'Send an Idempotency-Key header',
    );
  }
  if (typeof key !== 'string' || !keyPattern.test(key))
    throw invalidKey('The key must be 1 to 255 printable ASCII characters, without spaces');
  return key;
}

function invalidKey(detail: string): PolicyRefusal {
  return new PolicyRefusal(400, 'idempotency_key_invalid', 'Idempotency key invalid', detail);
}

function keyReused(): PolicyRefusal {
  const detail = 'This key was used with another request';
  return new PolicyRefusal(422, 'idempotency_key_reused', 'Idempotency key reused', detail);
}

/** SHA-256 over the parts, each with its length, so that no two lists of parts give the same bytes. */
function digest(...parts: (string | Buffer)[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest();
}
