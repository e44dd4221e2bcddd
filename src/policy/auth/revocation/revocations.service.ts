import { Injectable } from '@nestjs/common';
import { Clock, Config } from '../../../platform/config';
import { newId } from '../../../platform/identifiers';
import { Log } from '../../../platform/telemetry';
import { keysOf, type Page, pageFrom, type PageQuery } from '../../responses/page';
import { invalid } from '../../validation/validator';
import type { Caller } from '../caller';
import { leewaySeconds } from '../claims';
import { RevocationFeed } from './revocation-feed';
import { type RevocationKind, RevocationList } from './revocation-list';
import type { RevocationRequest, RevocationView } from './revocations.dto';
import { type RecordedRevocation, RevocationsStore } from './revocations.store';

const kinds: readonly RevocationKind[] = ['jti', 'sub', 'clientId'];

/** Ends tokens before their time. */
@Injectable()
export class RevocationsService {
  /** No token issued until now is valid for longer: its lifetime, and the leeway at both its ends. */
  private readonly rememberedMs: number;

  constructor(
    private readonly store: RevocationsStore,
    private readonly list: RevocationList,
    private readonly feed: RevocationFeed,
    private readonly clock: Clock,
    private readonly log: Log,
    config: Config,
  ) {
    this.rememberedMs = (config.get('AUTH_MAX_TOKEN_LIFETIME_SECONDS') + 2 * leewaySeconds) * 1000;
  }

  /**
   * Revokes one token, or all that a user or an app was issued until this second. When it returns, this node refuses
   * them; every other node does within a second.
   * @throws PolicyRefusal 400 unless exactly one is named
   */
  async revoke(operator: Caller, request: RevocationRequest): Promise<RevocationView> {
    const { kind, value } = soleName(request);
    const now = this.clock.now();
    const revocation: RecordedRevocation = {
      id: newId('rev'),
      kind,
      value,
      revokedAt: new Date(now),
      expiresAt: new Date(now + this.rememberedMs),
      revokedBy: operator.userId,
    };
    await this.store.insert(revocation);
    this.list.add(revocation);
    await this.feed.announce();
    this.log.info({ revocation: revocation.id, kind, value, actor: operator.userId }, 'Tokens were revoked');
    return viewOf(revocation);
  }

  /** The revocations in force, newest first. @throws PolicyRefusal 400 for a cursor that no page gave */
  async page({ limit, cursor }: PageQuery): Promise<Page<RevocationView>> {
    const [before] = cursor === undefined ? [] : keysOf(cursor, 1);
    const found = await this.store.list(new Date(this.clock.now()), before, limit + 1);
    const { data, nextCursor } = pageFrom(found, limit, ({ id }) => [id]);
    return { data: data.map(viewOf), nextCursor };
  }
}

function soleName(request: RevocationRequest): { kind: RevocationKind; value: string } {
  const given = kinds.filter((kind) => request[kind] !== undefined);
  const [kind] = given;
  const value = kind && request[kind];
  if (kind === undefined || value === undefined || given.length > 1) {
    throw invalid([{ path: '/', message: 'must have exactly one of jti, sub and clientId' }]);
  }
  return { kind, value };
}

function viewOf({ id, kind, value, revokedAt, expiresAt, revokedBy }: RecordedRevocation): RevocationView {
  return { id, [kind]: value, revokedAt: revokedAt.toISOString(), expiresAt: expiresAt.toISOString(), revokedBy };
}
