import { Injectable } from '@nestjs/common';
import { Metrics } from '../../../platform/telemetry';
import type { Caller } from '../caller';

/** What a revocation names. */
export type RevocationKind = 'jti' | 'sub' | 'clientId';

/** One revocation, as far as a decision needs it. */
export interface Revocation {
  readonly kind: RevocationKind;
  readonly value: string;
  /** Tokens of a subject or client that were issued later than this second pass. */
  readonly revokedAt: Date;
  /** When no token can be valid any more that it covers. */
  readonly expiresAt: Date;
}

interface Cutoff {
  /** Epoch seconds. */
  readonly issuedUntil: number;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** The revocations in force, in memory: a cached identity is checked against them on every request. */
@Injectable()
export class RevocationList {
  private readonly cutoffs: Readonly<Record<RevocationKind, Map<string, Cutoff>>> = {
    jti: new Map(),
    sub: new Map(),
    clientId: new Map(),
  };
  private live = 0;

  constructor(metrics: Metrics) {
    metrics.gauge('revocations_live', 'Revocations that this process enforces', [], () => this.live);
  }

  /** Whether the caller's token was revoked. */
  covers(caller: Caller): boolean {
    return this.live !== 0 && this.find(caller);
  }

  /** Takes a revocation in; one that is known already changes nothing. */
  add({ kind, value, revokedAt, expiresAt }: Revocation): void {
    const known = this.cutoffs[kind].get(value);
    const issuedUntil = Math.floor(revokedAt.getTime() / 1000);
    this.cutoffs[kind].set(value, {
      issuedUntil: Math.max(issuedUntil, known?.issuedUntil ?? -Infinity),
      expiresAt: Math.max(expiresAt.getTime(), known?.expiresAt ?? 0),
    });
    if (known === undefined) this.live++;
  }

  /** Forgets what no valid token can be covered by. */
  purge(now: number): void {
    for (const cutoffs of Object.values(this.cutoffs)) {
      for (const [value, { expiresAt }] of cutoffs) {
        if (expiresAt > now) continue;
        cutoffs.delete(value);
        this.live--;
      }
    }
  }

  private find({ tokenId, userId, clientId, issuedAt }: Caller): boolean {
    const { jti, sub, clientId: client } = this.cutoffs;
    // A `jti` names one token, whenever it was issued.
    return (
      (tokenId !== undefined && jti.has(tokenId)) ||
      isCut(sub.get(userId), issuedAt) ||
      isCut(client.get(clientId), issuedAt)
    );
  }
}

function isCut(cutoff: Cutoff | undefined, issuedAt: number | undefined): boolean {
  return cutoff !== undefined && (issuedAt === undefined || Math.floor(issuedAt) <= cutoff.issuedUntil);
}
