import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import * as passport from 'passport';
import { Strategy } from 'passport-jwt';
import { Clock, Config } from '../../platform/config';
import type { Caller } from './caller';
import { callerOf, leewaySeconds } from './claims';
import { KeySet } from './key-set';
import type { PinnedKey } from './pinned-key';
import { type RefusalReason, TokenRefused } from './refusals';

/** A verified token: who it names, and the key that proved it. */
export interface Identity {
  readonly caller: Caller;
  readonly key: PinnedKey;
}

/** What passport is given in place of a request: one verification serves every request that brings the same token. */
interface Verification {
  readonly token: string;
  readonly at: Date;
  key?: PinnedKey;
}

type Done<Value> = (error: unknown, value?: Value) => void;
type JwtVerifier = (
  token: string,
  verification: Verification & { key: PinnedKey },
  options: { audience: string },
  done: Done<JWTPayload>,
) => void;
type Middleware = (verification: Verification, response: undefined, next: (error: unknown) => void) => void;

const strategyName = 'bearer';
const algorithms: ReadonlySet<unknown> = new Set(['RS256', 'ES256', 'EdDSA']);
/** RFC 7519 §5.1 and RFC 9068 §2.1; `typ` is compared without case and without `application/`. */
const types: ReadonlySet<string> = new Set(['jwt', 'at+jwt']);

// passport-jwt names this hook for replacing its verifier, jsonwebtoken, which knows no EdDSA.
(Strategy as typeof Strategy & { JwtVerifier: JwtVerifier }).JwtVerifier = (token, { key, at }, { audience }, done) => {
  jwtVerify(token, key.key, {
    algorithms: [key.algorithm],
    audience,
    clockTolerance: leewaySeconds,
    currentDate: at,
    requiredClaims: ['iss', 'sub', 'exp', 'iat'],
  }).then(
    ({ payload }) => done(null, payload),
    (error: unknown) =>
      done(error instanceof errors.JOSEError ? new TokenRefused(reasonOf(error), error.message) : error),
  );
};

/** Verifies a token whole, in the order of cost: header, key, signature, claims. Behind the authoriser cache. */
@Injectable()
export class BearerStrategy extends PassportStrategy(Strategy, strategyName) {
  private readonly maxLifetimeSeconds: number;
  /** Passport's own instance is one for the whole process; two applications in one process must not share it. */
  declare private authenticator: passport.Authenticator | undefined;

  constructor(
    private readonly keys: KeySet,
    private readonly clock: Clock,
    config: Config,
  ) {
    super({
      jwtFromRequest: ((verification: Verification) => verification.token) as never,
      secretOrKeyProvider: (verification: Verification, token: string, done: Done<never>) => {
        this.pin(verification, token).then(() => done(null, verification as never), done);
      },
      audience: config.get('AUTH_AUDIENCE'),
      passReqToCallback: true,
    });
    this.maxLifetimeSeconds = config.get('AUTH_MAX_TOKEN_LIFETIME_SECONDS');
  }

  getPassportInstance(): passport.Authenticator {
    return (this.authenticator ??= new passport.Passport());
  }

  /** @throws TokenRefused, or KeysUnavailable when nothing can be said */
  verify(token: string): Promise<Identity> {
    return new Promise((resolve, reject) => {
      const finish = (error: unknown, identity: Identity | false | undefined, refusal: unknown): void => {
        const reason = error ?? refusal;
        if (identity) resolve(identity);
        else reject(reason instanceof Error ? reason : new Error('Passport gave no reason', { cause: reason }));
      };
      const authenticate = this.getPassportInstance().authenticate(strategyName, finish) as unknown as Middleware;
      authenticate({ token, at: new Date(this.clock.now()) }, undefined, reject);
    });
  }

  /** Called by passport-jwt once signature, `aud`, `exp` and `nbf` are right. */
  validate({ key, at }: Verification, payload: JWTPayload): Identity {
    if (!key) throw new Error('A payload was verified without a key');
    if (typeof payload.iss !== 'string' || !this.keys.accepts(payload.iss)) {
      throw new TokenRefused('claims', 'iss is another issuer');
    }
    return { caller: callerOf(payload, at.getTime() / 1000, this.maxLifetimeSeconds), key };
  }

  /** Finds the key that the header names, by `kid` alone: `jku`, `jwk`, `x5u` and `x5c` are never looked at. */
  private async pin(verification: Verification, token: string): Promise<void> {
    const { alg, kid, typ, crit } = headerOf(token);
    if (!algorithms.has(alg)) throw new TokenRefused('algorithm', 'alg is not accepted');
    if (crit !== undefined) throw new TokenRefused('malformed', 'crit names extensions, and none is understood');
    if (typ !== undefined && !(typeof typ === 'string' && types.has(typ.toLowerCase().replace(/^application\//, '')))) {
      throw new TokenRefused('malformed', 'typ is not that of an access token');
    }
    if (typeof kid !== 'string' || kid === '') {
      throw new TokenRefused('malformed', 'kid is missing');
    }
    const key = await this.keys.find(kid);
    if (!key) throw new TokenRefused('unknown_key', 'kid is unknown');
    if (key.algorithm !== alg) throw new TokenRefused('algorithm', 'alg is not that of the key');
    verification.key = key;
  }
}

function headerOf(token: string): Record<string, unknown> {
  try {
    return decodeProtectedHeader(token);
  } catch (error) {
    throw new TokenRefused('malformed', (error as Error).message);
  }
}

function reasonOf(error: errors.JOSEError): RefusalReason {
  if (error instanceof errors.JWTExpired) return 'expired';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature';
  if (!(error instanceof errors.JWTClaimValidationFailed)) return 'malformed';
  return error.claim === 'nbf' && error.reason === 'check_failed' ? 'not_yet_valid' : 'claims';
}
