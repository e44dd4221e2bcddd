import * as fc from 'fast-check';
import { CompactSign, SignJWT } from 'jose';
import { createPublicKey, createSecretKey, type JsonWebKey } from 'node:crypto';
import { PolicyRefusal } from '../errors/policy-refusal';
import { type Authoriser, authoriserOf, type IssuerKey, issuerKey, TestIssuer } from './test-issuer.spec-support';

const algorithms = ['RS256', 'ES256', 'EdDSA'] as const;
let keys: Record<(typeof algorithms)[number], IssuerKey>;
let stranger: IssuerKey;
let issuer: TestIssuer;
let authoriser: Authoriser;

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

beforeAll(async () => {
  const [RS256, ES256, EdDSA] = await Promise.all(algorithms.map((alg) => issuerKey(`key-${alg}`, alg)));
  if (!RS256 || !ES256 || !EdDSA) throw new Error('A key is missing');
  keys = { RS256, ES256, EdDSA };
  stranger = await issuerKey('key-RS256', 'RS256');
  issuer = await TestIssuer.start(RS256, ES256, EdDSA);
  authoriser = await authoriserOf(issuer);
});
afterAll(() => issuer.stop());

const sign = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}): Promise<string> =>
  issuer.sign(keys.ES256, authoriser.clock, claims, header);
const seconds = (): number => Math.floor(authoriser.clock.now() / 1000);

async function expectRefused(token: string): Promise<void> {
  const answer = await authoriser.ask(token);
  expect(answer).toBeInstanceOf(PolicyRefusal);
  expect(answer).toMatchObject({ status: 401, code: 'invalid_token' });
}

describe('a verified token', () => {
  it.each(algorithms)('may be signed with %s', async (algorithm) => {
    expect(await authoriser.ask(await issuer.sign(keys[algorithm], authoriser.clock))).toMatchObject({
      userId: 'user_ana',
    });
  });

  it('names the caller by its claims', async () => {
    const token = await sign({
      client_id: 'app_desk',
      practice_id: 'practice_p001',
      workspace_id: 'T1',
      role: 'provider',
      scope: 'a:read  b:write ',
      plan: 'premium',
      usage_plan: 'enterprise',
      region: 'eu-west-1',
      device_id: 'dev_1',
      jti: 'tok_1',
    });
    expect(await authoriser.ask(token)).toEqual({
      userId: 'user_ana',
      clientId: 'app_desk',
      practiceId: 'practice_p001',
      workspaceId: 'T1',
      accountId: 'practice_p001',
      role: 'provider',
      scopes: ['a:read', 'b:write'],
      plan: 'premium',
      usagePlan: 'enterprise',
      region: 'eu-west-1',
      deviceId: 'dev_1',
      tokenId: 'tok_1',
      issuedAt: seconds(),
      expiresAt: seconds() + 3_600,
    });
  });

  it('without a client, plan or region names the user, the standard plan and us-east-1', async () => {
    expect(await authoriser.ask(await sign())).toMatchObject({
      clientId: 'user_ana',
      plan: 'standard',
      region: 'us-east-1',
      scopes: [],
      role: undefined,
    });
  });

  it.each([
    ['typ at+jwt', {}, { typ: 'at+jwt' }],
    ['no typ', {}, { typ: undefined }],
    ['several audiences', { aud: ['other', 'gatehouse'] }, {}],
    ['a jku that nobody follows', {}, { jku: 'http://127.0.0.1:1/keys' }],
  ])('may have %s', async (_, claims, header) => {
    expect(await authoriser.ask(await sign(claims, header))).toMatchObject({ userId: 'user_ana' });
  });

  it('may be up to 30 s early or late', async () => {
    expect(await authoriser.ask(await sign({ exp: seconds() - 29 }))).toMatchObject({ userId: 'user_ana' });
    expect(await authoriser.ask(await sign({ nbf: seconds() + 29 }))).toMatchObject({ userId: 'user_ana' });
    expect(await authoriser.ask(await sign({ iat: seconds() + 29 }))).toMatchObject({ userId: 'user_ana' });
  });
});

describe('refuses a token', () => {
  it('signed with another key under a known kid', async () => {
    await expectRefused(await issuer.sign(stranger, authoriser.clock));
  });

  it('with alg none', async () => {
    const [, payload] = (await sign()).split('.');
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      await expectRefused(`${part({ alg, kid: 'key-ES256' })}.${payload}.`);
      await expectRefused(`${part({ alg, kid: 'key-ES256' })}.${payload}.AA`);
    }
  });

  it('with HS256 and the public key as its secret', async () => {
    const publicKey = createPublicKey({ key: keys.RS256.jwk as JsonWebKey, format: 'jwk' });
    const spki = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    for (const secret of [spki, spki.trim(), JSON.stringify(keys.RS256.jwk)]) {
      const token = await new SignJWT({ iss: issuer.url, aud: 'gatehouse', sub: 'user_eve' })
        .setProtectedHeader({ alg: 'HS256', kid: 'key-RS256' })
        .setIssuedAt(seconds())
        .setExpirationTime(seconds() + 60)
        .sign(createSecretKey(Buffer.from(secret)));
      await expectRefused(token);
    }
  });

  it('whose alg is that of another key', async () => {
    const [, payload, signature] = (await sign()).split('.');
    await expectRefused(`${part({ alg: 'RS256', kid: 'key-ES256' })}.${payload}.${signature}`);
  });

  it('that brings its own key', async () => {
    const eve = await issuerKey('key-eve');
    await expectRefused(await issuer.sign(eve, authoriser.clock, {}, { jwk: eve.jwk }));
    await expectRefused(await issuer.sign(eve, authoriser.clock, {}, { jwk: eve.jwk, kid: 'key-ES256' }));
  });

  it.each(['../../etc/passwd', '/dev/null', 'http://127.0.0.1:1/keys', "' OR 1=1 --", '__proto__', 'constructor'])(
    'with the kid %s',
    async (kid) => expectRefused(await sign({}, { kid })),
  );

  it.each([
    ['no kid', {}, { kid: undefined }],
    ['a kid that is no text', {}, { kid: 7 }],
    ['a critical extension', {}, { crit: ['b64'], b64: true }],
    ['the typ of an ID token or a logout token', {}, { typ: 'logout+jwt' }],
    ['a typ that is no text', {}, { typ: 5 }],
    ['another issuer', { iss: 'https://evil.example' }, {}],
    ['no issuer', { iss: undefined }, {}],
    ['another audience', { aud: 'other' }, {}],
    ['no audience', { aud: undefined }, {}],
    ['no subject', { sub: undefined }, {}],
    ['no expiry', { exp: undefined }, {}],
    ['no time of issue', { iat: undefined }, {}],
    ['an unknown role', { role: 'root' }, {}],
    ['a NUL in a claim', { client_id: 'a\0b' }, {}],
    ['half a surrogate pair in a claim', { device_id: 'a\ud800' }, {}],
    ['an endless subject', { sub: 'x'.repeat(256) }, {}],
  ])('with %s', async (_, claims, header) => expectRefused(await sign(claims, header)));

  it('that expired, is not valid yet, comes from the future, or lives too long', async () => {
    await expectRefused(await sign({ exp: seconds() - 31, iat: seconds() - 60 }));
    await expectRefused(await sign({ nbf: seconds() + 31 }));
    await expectRefused(await sign({ iat: seconds() + 31 }));
    await expectRefused(await sign({ exp: seconds() + 86_401 }));
    await expectRefused(await sign({ exp: 1e300 }));
    await expectRefused(await sign({ iat: -1e300 }));
  });

  it('whose payload is no object', async () => {
    for (const payload of ['null', '[]', '"text"', '7', '{', '']) {
      const signed = new CompactSign(Buffer.from(payload)).setProtectedHeader({ alg: 'ES256', kid: 'key-ES256' });
      await expectRefused(await signed.sign(keys.ES256.privateKey));
    }
  });

  it('with a claim of another type than it should have', async () => {
    const names = ['sub', 'client_id', 'practice_id', 'workspace_id', 'account_id', 'role', 'scope', 'plan'];
    names.push('usage_plan', 'region', 'device_id', 'jti', 'iss', 'exp', 'nbf', 'iat');
    for (const name of names) {
      for (const value of [null, true, {}, [], ['text'], { toString: 'x' }, '']) {
        if (name === 'scope' && value === '') continue;
        await expectRefused(await sign({ [name]: value }));
      }
    }
  });
});

it('answers any claims whatever with a caller or a refusal, never with a failure', async () => {
  const claims = fc.dictionary(
    fc.constantFrom('sub', 'role', 'scope', 'exp', 'nbf', 'iat', 'aud', 'jti', 'practice_id', '__proto__'),
    fc.jsonValue(),
  );
  await fc.assert(
    fc.asyncProperty(claims, async (values) => {
      const answer = await authoriser.ask(await sign(values));
      if (answer instanceof Error) expect(answer).toMatchObject({ status: 401, code: 'invalid_token' });
      else expect(typeof answer.userId).toBe('string');
    }),
    { numRuns: 300 },
  );
});

it('answers any header of a token with a refusal, never with a failure', async () => {
  const header = fc.dictionary(fc.constantFrom('alg', 'kid', 'typ', 'crit', 'b64', 'jwk', 'x'), fc.jsonValue());
  await fc.assert(
    fc.asyncProperty(header, fc.jsonValue(), fc.base64String(), async (head, payload, signature) => {
      await expectRefused(`${part(head)}.${part(payload)}.${signature.replaceAll(/[+/=]/g, '')}`);
    }),
    { numRuns: 300 },
  );
});
