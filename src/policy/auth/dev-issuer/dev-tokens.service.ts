import { Injectable } from '@nestjs/common';
import { Clock, Config } from '../../../platform/config';
import { newId } from '../../../platform/identifiers';
import { PolicyRefusal } from '../../errors/policy-refusal';
import { invalid } from '../../validation/validator';
import { roles } from '../caller';
import { DevKeys } from './dev-keys';
import {
  type ClientCredentialsRequest,
  demoBot,
  devDefaults,
  type DevTokenRequest,
  type DevTokenView,
} from './dev-tokens.dto';

/** The fields of a request, which is no instance of its class. */
type Claims = Pick<DevTokenRequest, keyof DevTokenRequest>;

/** Gives a token to anyone, with any claims: never loaded in production. */
@Injectable()
export class DevTokensService {
  constructor(
    private readonly keys: DevKeys,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /** A token with these claims over the defaults. @throws PolicyRefusal 400 for a longer life than is accepted */
  async issue(issuer: string, request: Claims): Promise<DevTokenView> {
    const { expiresInSeconds, ...claims } = { ...devDefaults, ...request };
    const longest = this.config.get('AUTH_MAX_TOKEN_LIFETIME_SECONDS');
    if (expiresInSeconds > longest)
      throw invalid([{ path: '/expiresInSeconds', message: `must be at most ${longest}` }]);
    const issuedAt = Math.floor(this.clock.now() / 1000);
    const payload = {
      jti: newId('tok'),
      ...claims,
      iss: issuer,
      aud: this.config.get('AUTH_AUDIENCE'),
      iat: issuedAt,
      exp: issuedAt + expiresInSeconds,
    };
    const given = Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== null));
    return { access_token: await this.keys.sign(given), token_type: 'Bearer', expires_in: expiresInSeconds };
  }

  /**
   * A token for a demo user, whose client id is its role, or for the demo bot; the secret is not looked at.
   * @throws PolicyRefusal 401 for another client id
   */
  issueToClient(
    issuer: string,
    authorization: string | undefined,
    request: ClientCredentialsRequest,
  ): Promise<DevTokenView> {
    const clientId = basicUser(authorization) ?? request.client_id;
    const { scope } = request;
    if (clientId === demoBot.client_id) return this.issue(issuer, { ...demoBot, ...(scope && { scope }) });
    const role = roles.find((name) => name === clientId);
    if (role === undefined) {
      throw new PolicyRefusal(
        401,
        'invalid_client',
        'Unauthorized',
        `The client id must be one of ${[...roles, demoBot.client_id].join(', ')}`,
      );
    }
    return this.issue(issuer, { sub: `user_${role}`, client_id: `app_${role}`, role, ...(scope && { scope }) });
  }
}

/** The user of HTTP Basic credentials (RFC 7617, form-encoded after RFC 6749 §2.3.1; a role's name needs no decoding). */
function basicUser(authorization: string | undefined): string | undefined {
  const encoded = /^Basic +(\S+)$/i.exec(authorization ?? '')?.[1];
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString().split(':', 1)[0];
}
