import { ManualClock } from '../../platform/config';
import { type Authoriser, authoriserOf, type IssuerKey, issuerKey, TestIssuer } from './test-issuer.spec-support';

let key: IssuerKey;
let issuer: TestIssuer;
let authoriser: Authoriser;
const clock = new ManualClock();

beforeAll(async () => {
  key = await issuerKey('key-1');
});
beforeEach(async () => {
  issuer = await TestIssuer.start(key);
  authoriser = await authoriserOf(issuer, { clock, settings: { AUTH_CACHE_ENTRIES: 100 } });
});
afterEach(() => issuer.stop());

const sign = (claims?: Record<string, unknown>): Promise<string> => issuer.sign(key, clock, claims);
const verifications = (): Promise<number> => authoriser.metric('authoriser_verifications_total');
const ana = { userId: 'user_ana' };

it('verifies a token once for 1,000 requests in five minutes', async () => {
  const token = await sign();
  for (let request = 0; request < 1_000; request++) {
    expect(await authoriser.ask(token)).toMatchObject(ana);
    clock.advance(299);
  }
  expect(await verifications()).toBe(1);
  expect(await authoriser.metric('authoriser_cache_hits_total')).toBe(999);
});

it('verifies a token once for 100 requests at the same time', async () => {
  const token = await sign();
  const answers = await Promise.all(Array.from({ length: 100 }, () => authoriser.ask(token)));
  for (const answer of answers) expect(answer).toMatchObject(ana);
  expect(await verifications()).toBe(1);
});

it('answers a hit without a promise', async () => {
  const token = await sign();
  await authoriser.ask(token);
  expect(authoriser.cache.recall(token)).toMatchObject(ana);
});

it('keeps an identity for 300 s and no longer', async () => {
  const token = await sign();
  await authoriser.ask(token);
  clock.advance(299_999);
  await authoriser.ask(token);
  expect(await verifications()).toBe(1);
  clock.advance(1);
  await authoriser.ask(token);
  expect(await verifications()).toBe(2);
});

it('keeps no identity past the expiry of its token', async () => {
  const token = await sign({ exp: Math.floor(clock.now() / 1000) + 60 });
  expect(await authoriser.ask(token)).toMatchObject(ana);
  clock.advance(91_000);
  expect(await authoriser.ask(token)).toMatchObject({ status: 401, message: 'The access token expired' });
});

it('keeps tokens apart that differ in their last letter only', async () => {
  const token = await sign();
  await authoriser.ask(token);
  const last = token.at(-1) === 'A' ? 'Q' : 'A';
  expect(await authoriser.ask(`${token.slice(0, -1)}${last}`)).toMatchObject({ status: 401 });
});

it('keeps a refusal for 10 s', async () => {
  const token = await sign({ aud: 'other' });
  for (let request = 0; request < 10; request++) expect(await authoriser.ask(token)).toMatchObject({ status: 401 });
  expect(await verifications()).toBe(1);
  expect(await authoriser.metric('authoriser_refusals_total')).toBe(10);
  clock.advance(10_000);
  await authoriser.ask(token);
  expect(await verifications()).toBe(2);
});

it('does not keep the refusal of a token that becomes valid by itself', async () => {
  const token = await sign({ nbf: Math.floor(clock.now() / 1000) + 31 });
  expect(await authoriser.ask(token)).toMatchObject({ status: 401 });
  clock.advance(2_000);
  expect(await authoriser.ask(token)).toMatchObject(ana);
});

it('loses no good identity to a flood of garbage', async () => {
  const good = await Promise.all(Array.from({ length: 100 }, (_, n) => sign({ jti: `tok_${n}` })));
  for (const token of good) await authoriser.ask(token);
  const template = await sign({ aud: 'other' });
  for (let n = 0; n < 15_000; n++) await authoriser.ask(`${n}${template}`);
  const before = await verifications();
  for (const token of good) expect(authoriser.cache.recall(token)).toMatchObject(ana);
  expect(await verifications()).toBe(before);
});

it('keeps no more identities than it has room for, and those in use stay', async () => {
  const used = await Promise.all(Array.from({ length: 50 }, (_, n) => sign({ jti: `used_${n}` })));
  for (const token of [...used, ...used]) await authoriser.ask(token);
  for (let n = 0; n < 200; n++) {
    await authoriser.ask(await sign({ jti: `once_${n}` }));
    if (n % 20 === 0) for (const token of used) await authoriser.ask(token);
  }
  expect(await authoriser.metric('authoriser_cache_entries')).toBe(100);
  expect(await verifications()).toBe(250);
});

it('answers 503 while the keys cannot be fetched, and keeps nothing of it', async () => {
  issuer.publish();
  issuer.isDown = true;
  authoriser = await authoriserOf(issuer, { clock });
  const token = await sign();
  expect(await authoriser.ask(token)).toMatchObject({ status: 503, code: 'keys_unavailable' });
  issuer.isDown = false;
  issuer.publish(key);
  clock.advance(1_000);
  expect(await authoriser.ask(token)).toMatchObject(ana);
});

describe('after a revocation', () => {
  const revoke = (kind: 'jti' | 'sub' | 'clientId', value: string): void =>
    authoriser.revocations.add({ kind, value, revokedAt: new Date(clock.now()), expiresAt: new Date(Infinity) });
  const revoked = { status: 401, code: 'invalid_token', message: 'The access token was revoked' };

  it.each([
    ['jti', 'tok_1'],
    ['sub', 'user_ana'],
    ['clientId', 'app_1'],
  ] as const)('by %s refuses a kept identity at its next request', async (kind, value) => {
    const token = await sign({ jti: 'tok_1', client_id: 'app_1' });
    expect(await authoriser.ask(token)).toMatchObject(ana);
    revoke(kind, value);
    expect(await authoriser.ask(token)).toMatchObject(revoked);
    expect(await authoriser.ask(token)).toMatchObject(revoked);
  });

  it.each([
    ['jti', 'tok_2'],
    ['sub', 'tok_1'],
    ['clientId', 'user_ana'],
  ] as const)('by %s of another name refuses nothing', async (kind, value) => {
    const token = await sign({ jti: 'tok_1', client_id: 'app_1' });
    await authoriser.ask(token);
    revoke(kind, value);
    expect(await authoriser.ask(token)).toMatchObject(ana);
  });

  it('by sub lets tokens pass that were issued in a later second', async () => {
    revoke('sub', 'user_ana');
    expect(await authoriser.ask(await sign())).toMatchObject(revoked);
    clock.advance(1_000);
    expect(await authoriser.ask(await sign())).toMatchObject(ana);
  });

  it('by jti refuses that token whenever it was issued', async () => {
    revoke('jti', 'tok_1');
    clock.advance(5_000);
    expect(await authoriser.ask(await sign({ jti: 'tok_1' }))).toMatchObject(revoked);
  });

  it('forgets it once every token that it covers has expired', async () => {
    const expiresAt = new Date(clock.now() + 1_000);
    authoriser.revocations.add({ kind: 'jti', value: 'tok_1', revokedAt: new Date(clock.now()), expiresAt });
    authoriser.revocations.purge(clock.now());
    expect(await authoriser.metric('revocations_live')).toBe(1);
    authoriser.revocations.purge(clock.now() + 1_000);
    expect(await authoriser.metric('revocations_live')).toBe(0);
  });

  it('keeps the later of two revocations of one name', async () => {
    const at = (millis: number) => new Date(clock.now() + millis);
    const both = [
      { kind: 'sub', value: 'user_ana', revokedAt: at(5_000), expiresAt: at(9_000) },
      { kind: 'sub', value: 'user_ana', revokedAt: at(0), expiresAt: at(8_000) },
    ] as const;
    for (const one of both) authoriser.revocations.add(one);
    clock.advance(4_000);
    expect(await authoriser.ask(await sign())).toMatchObject(revoked);
  });
});
