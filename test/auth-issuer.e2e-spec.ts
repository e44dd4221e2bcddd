import { createHmac, createPublicKey, type JsonWebKey } from 'node:crypto';
import { Client } from 'pg';
import { type IssuerKey, issuerKey, TestIssuer } from '../src/policy/auth/test-issuer.spec-support';
import { type Answer, call } from './support/api';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { World } from './support/world';

const clock = { now: () => Date.now() };

/** The value of a metric, over all its labels. */
async function metric(gate: GateProcess, name: string): Promise<number> {
  const { text } = await call(gate, '/metrics');
  const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

const me = (gate: { url: string }, token: string | undefined): Promise<Answer> => call(gate, '/me', { token });
let world: World;
let gate: GateProcess;
let issuer: TestIssuer;
let key: IssuerKey;

beforeAll(async () => {
  key = await issuerKey('key-1', 'EdDSA');
  issuer = await TestIssuer.start(key);
  world = await World.create();
  gate = await world.start({ AUTH_ISSUER: issuer.url, GATEHOUSE_ROLE: 'api' });
});
afterAll(async () => {
  await world.end();
  await issuer.stop();
});

it('accepts the tokens of its issuer, and the development issuer’s routes are not there', async () => {
  expect((await me(gate, await issuer.sign(key, clock))).status).toBe(200);
  expect((await call(gate, '/dev/tokens', { body: {} })).status).toBe(404);
  expect((await call(gate, '/.well-known/jwks.json')).status).toBe(404);
});

it('ends a token’s life when its key is taken out', async () => {
  const token = await issuer.sign(key, clock);
  expect((await me(gate, token)).status).toBe(200);
  const next = await issuerKey('key-2', 'RS256');
  issuer.publish(next);
  expect((await me(gate, await issuer.sign(next, clock))).status).toBe(200);
  expect((await me(gate, token)).status).toBe(401);
  key = next;
});

it('says in a metric and the log when Postgres does not answer, and goes on', async () => {
  const token = await issuer.sign(key, clock);
  expect((await me(gate, token)).status).toBe(200);
  await until(async () => (await metric(gate, 'revocations_stale_seconds')) < 1);
  const blocker = new Client({ connectionString: world.ownerUrl });
  await blocker.connect();
  try {
    await blocker.query('BEGIN; LOCK TABLE revocations IN ACCESS EXCLUSIVE MODE');
    await until(async () => (await metric(gate, 'revocations_stale_seconds')) > 1);
    await until(() => gate.log.includes('Revocations are stale'));
    expect((await me(gate, token)).status).toBe(200);
  } finally {
    await blocker.end();
  }
  await until(() => gate.log.includes('Revocations are read again'));
  await until(async () => (await metric(gate, 'revocations_stale_seconds')) < 1);
});

// Last: a key that nobody knows has the set fetched, and then for a while no more.
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const forgeries: readonly [string, () => Promise<string>][] = [
  ['signed with another key', async () => issuer.sign(await issuerKey(key.kid, 'RS256'), clock)],
  [
    'with alg none',
    async () => `${part({ alg: 'none', kid: key.kid })}.${(await issuer.sign(key, clock)).split('.')[1]}.`,
  ],
  [
    'with HS256 and the public key',
    async () => {
      const signed = `${part({ alg: 'HS256', kid: key.kid })}.${(await issuer.sign(key, clock)).split('.')[1]}`;
      const secret = createPublicKey({ key: key.jwk as JsonWebKey, format: 'jwk' }).export({
        type: 'spki',
        format: 'pem',
      });
      return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
    },
  ],
  ['that has expired', () => issuer.sign(key, clock, { exp: Math.floor(clock.now() / 1000) - 60 })],
  ['whose key id is a path', () => issuer.sign(key, clock, {}, { kid: '../../../etc/passwd' })],
  ['whose key id is an address', () => issuer.sign(key, clock, {}, { kid: 'http://127.0.0.1:1/key' })],
];

it.each(forgeries)('refuses a token %s', async (_, forged) => {
  const answer = await me(gate, await forged());
  expect([answer.status, answer.body.code]).toEqual([401, 'invalid_token']);
  expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer .*error="invalid_token"/);
});
