import { exportJWK, generateKeyPair, type JWK, type JWTHeaderParameters, SignJWT } from 'jose';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Config, ManualClock, type Settings } from '../../platform/config';
import { Log, Metrics } from '../../platform/telemetry';
import { AuthoriserCache } from './authoriser-cache';
import { BearerStrategy } from './bearer.strategy';
import { KeySet } from './key-set';
import { OidcKeySource } from './oidc-key-source';
import type { PolicyRefusal } from '../errors/policy-refusal';
import { RevocationList } from './revocation/revocation-list';

export interface IssuerKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: Parameters<SignJWT['sign']>[0];
  readonly jwk: JWK;
}

export async function issuerKey(kid: string, alg: 'RS256' | 'ES256' | 'EdDSA' = 'ES256'): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** An OpenID provider over real HTTP, whose keys a test changes. */
export class TestIssuer {
  /** What it publishes. */
  published: unknown[] = [];
  /** Answers of a test's own, by path. */
  readonly answers = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>();
  isDown = false;
  /** How often the key set was fetched. */
  keyFetches = 0;

  private constructor(private readonly server: Server) {}

  static async start(...keys: IssuerKey[]): Promise<TestIssuer> {
    const server = createServer((request, response) => issuer.answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const issuer = new TestIssuer(server);
    issuer.publish(...keys);
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  publish(...keys: IssuerKey[]): void {
    this.published = keys.map(({ jwk }) => jwk);
  }

  /** A token of `user_ana`, issued at `clock`'s time for an hour, with these claims and header fields over the usual. */
  sign(
    key: IssuerKey,
    clock: { now(): number },
    claims: Record<string, unknown> = {},
    header: Partial<JWTHeaderParameters> = {},
  ): Promise<string> {
    const now = Math.floor(clock.now() / 1000);
    const payload = { iss: this.url, aud: 'gatehouse', sub: 'user_ana', iat: now, exp: now + 3_600, ...claims };
    return new SignJWT(payload)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
      .sign(key.privateKey);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '/';
    const own = this.answers.get(path);
    if (path === '/keys') this.keyFetches++;
    if (this.isDown) response.writeHead(503).end();
    else if (own) own(request, response);
    else if (path === '/.well-known/openid-configuration') {
      response.end(JSON.stringify({ issuer: this.url, jwks_uri: `${this.url}/keys` }));
    } else if (path === '/keys') response.end(JSON.stringify({ keys: this.published }));
    else response.writeHead(404).end();
  }
}

/** The authoriser as an application has it, over a real issuer and a clock that a test moves. */
export async function authoriserOf(
  issuer: TestIssuer,
  options: { clock?: ManualClock; settings?: Partial<Settings>; production?: boolean } = {},
) {
  const clock = options.clock ?? new ManualClock();
  const config = Config.from({ NODE_ENV: 'test', AUTH_ISSUER: issuer.url }).with(options.settings ?? {});
  const lines: string[] = [];
  const log = new Log(config, { write: (line) => void lines.push(line) });
  const metrics = new Metrics();
  const keys = new KeySet(new OidcKeySource(issuer.url, options.production === true), clock, log, metrics);
  const revocations = new RevocationList(metrics);
  const strategy = new BearerStrategy(keys, clock, config);
  const cache = new AuthoriserCache(strategy, keys, revocations, clock, log, config, metrics);
  await keys.onModuleInit();
  keys.onApplicationShutdown(); // no refreshing behind the test's back
  return {
    cache,
    keys,
    revocations,
    clock,
    lines,
    /** What a request with that token gets: its caller, or the refusal. */
    async ask(token: string) {
      try {
        return cache.recall(token) ?? (await cache.verify(token));
      } catch (error) {
        return error as PolicyRefusal;
      }
    },
    /** The value of a metric, over all its labels. */
    async metric(name: string): Promise<number> {
      const found = await metrics.registry.getSingleMetric(name)?.get();
      return (found?.values ?? []).reduce((sum, { value }) => sum + value, 0);
    },
  };
}

export type Authoriser = Awaited<ReturnType<typeof authoriserOf>>;
