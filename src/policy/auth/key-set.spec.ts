import { generateKeyPairSync } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { OidcKeySource } from './oidc-key-source';
import { type Authoriser, authoriserOf, type IssuerKey, issuerKey, TestIssuer } from './test-issuer.spec-support';

let first: IssuerKey;
let second: IssuerKey;
let issuer: TestIssuer;
let authoriser: Authoriser;

beforeAll(async () => {
  [first, second] = await Promise.all([issuerKey('key-1'), issuerKey('key-2', 'RS256')]);
});
beforeEach(async () => {
  issuer = await TestIssuer.start(first);
  authoriser = await authoriserOf(issuer);
});
afterEach(() => issuer.stop());

const sign = (key: IssuerKey, header = {}): Promise<string> => issuer.sign(key, authoriser.clock, {}, header);
const ana = { userId: 'user_ana' };
const refused = { status: 401, code: 'invalid_token' };

describe('rotation', () => {
  it('accepts a key that was added since, after one further fetch', async () => {
    issuer.publish(first, second);
    expect(await authoriser.ask(await sign(second))).toMatchObject(ana);
    expect(await authoriser.ask(await sign(first))).toMatchObject(ana);
    expect(issuer.keyFetches).toBe(2);
  });

  it('ends what a key proved that was taken out, kept identities too', async () => {
    const token = await sign(first);
    expect(await authoriser.ask(token)).toMatchObject(ana);
    issuer.publish(second);
    expect(await authoriser.ask(await sign(second))).toMatchObject(ana);
    expect(authoriser.cache.recall(token)).toBeUndefined();
    expect(await authoriser.ask(token)).toMatchObject(refused);
  });

  it('ends what a key proved whose kid now names another key', async () => {
    const token = await sign(first);
    expect(await authoriser.ask(token)).toMatchObject(ana);
    const successor = await sign(second, { kid: first.kid, alg: 'RS256' });
    expect(await authoriser.ask(successor)).toMatchObject(refused);
    issuer.publish({ ...second, jwk: { ...second.jwk, kid: first.kid } });
    await authoriser.keys.refresh();
    expect(await authoriser.ask(token)).toMatchObject(refused);
    expect(await authoriser.ask(successor)).toMatchObject(ana);
  });

  it('keeps identities whose key is still there', async () => {
    const token = await sign(first);
    await authoriser.ask(token);
    issuer.publish(second, first);
    await authoriser.keys.refresh();
    expect(authoriser.cache.recall(token)).toMatchObject(ana);
  });

  it('lets a refused token in whose key arrives with the next refresh', async () => {
    const token = await sign(second);
    expect(await authoriser.ask(token)).toMatchObject(refused);
    issuer.publish(first, second);
    await authoriser.keys.refresh();
    expect(await authoriser.ask(token)).toMatchObject(ana);
  });
});

describe('an unseen kid', () => {
  it('fetches once in 30 s, whatever comes', async () => {
    for (let n = 0; n < 50; n++) {
      expect(await authoriser.ask(await sign(first, { kid: `unseen-${n}` }))).toMatchObject(refused);
    }
    expect(issuer.keyFetches).toBe(2);
    authoriser.clock.advance(29_999);
    await authoriser.ask(await sign(first, { kid: 'unseen' }));
    expect(issuer.keyFetches).toBe(2);
    authoriser.clock.advance(1);
    await authoriser.ask(await sign(first, { kid: 'unseen' }));
    expect(issuer.keyFetches).toBe(3);
  });

  it('is waited for by all who bring it, with one fetch', async () => {
    issuer.publish(first, second);
    const tokens = await Promise.all(
      Array.from({ length: 20 }, (_, n) => sign(second, { typ: n % 2 ? 'JWT' : 'at+jwt' })),
    );
    const answers = await Promise.all(tokens.map((token) => authoriser.ask(token)));
    for (const answer of answers) expect(answer).toMatchObject(ana);
    expect(issuer.keyFetches).toBe(2);
  });
});

describe('an issuer that is away', () => {
  it('does not end what is known, and is logged and counted', async () => {
    issuer.isDown = true;
    await authoriser.keys.refresh();
    expect(await authoriser.ask(await sign(first))).toMatchObject(ana);
    expect(authoriser.lines.join('')).toContain('The keys of the issuer could not be fetched');
    expect(await authoriser.metric('authoriser_key_fetches_total')).toBe(2);
  });

  it('leaves an unseen kid undecided, and is asked again after a second', async () => {
    issuer.isDown = true;
    issuer.publish(first, second);
    const token = await sign(second);
    expect(await authoriser.ask(token)).toMatchObject({ status: 503 });
    issuer.isDown = false;
    expect(await authoriser.ask(token)).toMatchObject({ status: 503 });
    authoriser.clock.advance(1_000);
    expect(await authoriser.ask(token)).toMatchObject(ana);
  });

  it('does not prevent a start', async () => {
    issuer.isDown = true;
    authoriser = await authoriserOf(issuer);
    issuer.isDown = false;
    expect(await authoriser.ask(await sign(first))).toMatchObject(ana);
  });
});

describe('what an issuer may answer', () => {
  const elsewhere = (response: ServerResponse, location: string) => response.writeHead(302, { location }).end();

  async function expectUnfetched(): Promise<void> {
    authoriser = await authoriserOf(issuer);
    expect(await authoriser.ask(await sign(first))).toMatchObject({ status: 503 });
  }

  it.each([
    ['another issuer’s discovery document', () => ({ issuer: 'https://evil.example', jwks_uri: `${issuer.url}/keys` })],
    ['a discovery document without keys', () => ({ issuer: issuer.url })],
    ['a discovery document that is a list', () => []],
  ])('is not %s', async (_, document) => {
    issuer.answers.set('/.well-known/openid-configuration', (_request, response) => {
      response.end(JSON.stringify(document()));
    });
    await expectUnfetched();
  });

  it('is not a redirect to another host', async () => {
    const other = await TestIssuer.start(first);
    issuer.answers.set('/keys', (_request, response) => elsewhere(response, `${other.url}/keys`));
    await expectUnfetched();
    expect(other.keyFetches).toBe(0);
    await other.stop();
  });

  it('is a redirect on the same host, but not without end', async () => {
    issuer.answers.set('/moved', (_request, response) => response.end(JSON.stringify({ keys: issuer.published })));
    issuer.answers.set('/keys', (_request, response) => elsewhere(response, '/moved'));
    authoriser = await authoriserOf(issuer);
    expect(await authoriser.ask(await sign(first))).toMatchObject(ana);
    issuer.answers.set('/moved', (_request, response) => elsewhere(response, '/keys'));
    await expectUnfetched();
  });

  it('is not more than 256 KiB', async () => {
    issuer.answers.set('/keys', (_request, response) => {
      response.end(JSON.stringify({ keys: issuer.published, padding: 'x'.repeat(262_144) }));
    });
    await expectUnfetched();
  });

  it('is not plain http in production', async () => {
    await expect(new OidcKeySource(issuer.url, true).load()).rejects.toThrow('https');
    expect(issuer.keyFetches).toBe(1);
  });

  it('may hold keys of other kinds, which are passed over', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey.export({ format: 'jwk' });
    issuer.published = [
      null,
      'text',
      { ...second.jwk, kid: undefined },
      { ...weak, kid: 'weak' },
      { ...second.jwk, kid: 'encrypts', use: 'enc' },
      { ...second.jwk, kid: 'signs', key_ops: ['sign'] },
      { ...second.jwk, kid: 'longer', alg: 'RS512' },
      { ...second.jwk, kid: 'broken', n: 7 },
      { kty: 'oct', k: 'c2VjcmV0', kid: 'secret', alg: 'HS256' },
      { ...second.jwk, kid: first.kid },
      first.jwk,
      second.jwk,
    ].toSorted((a) => (a === first.jwk ? -1 : 0));
    authoriser = await authoriserOf(issuer);
    expect(await authoriser.metric('authoriser_keys')).toBe(2);
    expect(await authoriser.ask(await sign(first))).toMatchObject(ana);
    expect(await authoriser.ask(await sign(second))).toMatchObject(ana);
    for (const kid of ['weak', 'encrypts', 'signs', 'longer', 'broken', 'secret']) {
      expect(await authoriser.ask(await sign(second, { kid }))).toMatchObject(refused);
    }
  });
});
