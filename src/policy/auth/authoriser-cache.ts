import { Injectable } from '@nestjs/common';
import { hash } from 'node:crypto';
import type { Counter } from 'prom-client';
import { Clock, Config } from '../../platform/config';
import { Log, Metrics } from '../../platform/telemetry';
import { BearerStrategy, type Identity } from './bearer.strategy';
import type { Caller } from './caller';
import { leewaySeconds } from './claims';
import { KeySet } from './key-set';
import { KeysUnavailable, keysUnavailable, type RefusalReason, refusalOf, TokenRefused } from './refusals';
import { RevocationList } from './revocation/revocation-list';
import { SieveCache } from './sieve-cache';

/** How long an identity is kept at most, in milliseconds; API Gateway's authorisers have the same default. */
const identityKeptMs = 300_000;
const refusalKeptMs = 10_000;
/** Refusals have room of their own: a flood of garbage pushes out garbage. */
const refusalEntries = 10_000;

interface KeptIdentity extends Identity {
  readonly until: number;
}

interface KeptRefusal {
  readonly reason: RefusalReason;
  readonly until: number;
}

/**
 * Identities by the SHA-256 of the whole token, kept `min(300 s, exp)`: never a route's decision, never the token.
 * A hit verifies nothing and returns at once; a miss verifies once for all who wait. Keys that are taken out and
 * revocations end what is kept.
 */
@Injectable()
export class AuthoriserCache {
  private readonly identities: SieveCache<KeptIdentity>;
  private readonly refusals = new SieveCache<KeptRefusal>(refusalEntries);
  private readonly verifying = new Map<string, Promise<Caller>>();
  private readonly verifications: Counter;
  private readonly hits: Counter;
  private readonly refused: Counter<'reason'>;

  constructor(
    private readonly strategy: BearerStrategy,
    private readonly keys: KeySet,
    private readonly revocations: RevocationList,
    private readonly clock: Clock,
    private readonly log: Log,
    config: Config,
    metrics: Metrics,
  ) {
    this.identities = new SieveCache(config.get('AUTH_CACHE_ENTRIES'));
    this.verifications = metrics.counter('authoriser_verifications_total', 'Tokens verified whole');
    this.hits = metrics.counter('authoriser_cache_hits_total', 'Requests whose identity was kept');
    this.refused = metrics.counter('authoriser_refusals_total', 'Requests refused for their token', ['reason']);
    metrics.gauge('authoriser_cache_entries', 'Identities kept', [], () => this.identities.size);
    keys.onReplaced(() => this.forgetReplacedKeys());
  }

  /**
   * Who the token names, if that is kept; `undefined` when it must be verified.
   * @throws PolicyRefusal 401 when its refusal is kept, or it was revoked since
   */
  recall(token: string): Caller | undefined {
    const digest = digestOf(token);
    const kept = this.identities.get(digest);
    if (kept === undefined || kept.until <= this.clock.now()) {
      this.recallRefusal(digest);
      return undefined;
    }
    const { caller } = kept;
    if (this.revocations.covers(caller)) {
      this.identities.delete(digest);
      throw this.refuse('revoked');
    }
    this.hits.inc();
    return caller;
  }

  /**
   * Verifies a token, once for all who ask at the same time, and keeps the outcome.
   * @throws PolicyRefusal 401, or 503 when the issuer's keys cannot be had; that is not kept
   */
  verify(token: string): Promise<Caller> {
    const digest = digestOf(token);
    let verifying = this.verifying.get(digest);
    if (verifying === undefined) {
      verifying = this.verifyOnce(token, digest).finally(() => this.verifying.delete(digest));
      this.verifying.set(digest, verifying);
    }
    return verifying;
  }

  private async verifyOnce(token: string, digest: string): Promise<Caller> {
    this.verifications.inc();
    try {
      const { caller, key } = await this.strategy.verify(token);
      // Both may have changed while the signature was checked.
      if (!this.keys.isCurrent(key)) throw new TokenRefused('unknown_key', 'the key was taken out');
      if (this.revocations.covers(caller)) throw new TokenRefused('revoked', 'revoked');
      const endsAt = (caller.expiresAt + leewaySeconds) * 1000;
      this.identities.delete(digest);
      this.identities.set(digest, { caller, key, until: Math.min(this.clock.now() + identityKeptMs, endsAt) });
      return caller;
    } catch (error) {
      if (error instanceof KeysUnavailable) throw keysUnavailable;
      if (!(error instanceof TokenRefused)) throw error;
      this.log.debug({ reason: error.reason, detail: error.message }, 'A token was refused');
      if (error.isLasting) this.keepRefusal(digest, error.reason);
      throw this.refuse(error.reason);
    }
  }

  private keepRefusal(digest: string, reason: RefusalReason): void {
    this.refusals.delete(digest);
    this.refusals.set(digest, { reason, until: this.clock.now() + refusalKeptMs });
  }

  private recallRefusal(digest: string): void {
    const kept = this.refusals.get(digest);
    if (kept !== undefined && kept.until > this.clock.now()) throw this.refuse(kept.reason);
  }

  private refuse(reason: RefusalReason) {
    this.refused.inc({ reason });
    return refusalOf(reason);
  }

  /** A key that was taken out proves nothing any more; and what no key proved, a new one may. */
  private forgetReplacedKeys(): void {
    this.identities.deleteWhere(({ key }) => !this.keys.isCurrent(key));
    this.refusals.clear();
  }
}

/** `binary`: one character a byte, the shortest string. `crypto.hash` (Node 20.12) makes no hash object. */
function digestOf(token: string): string {
  return hash('sha256', token, 'binary');
}
