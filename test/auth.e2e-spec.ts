import * as fc from 'fast-check';
import IORedis from 'ioredis';
import { request } from 'node:http';
import { Client } from 'pg';
import { type Answer, call, tokenFor } from './support/api';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { World } from './support/world';

/** The value of a metric, over all its labels. */
async function metric(gate: GateProcess, name: string): Promise<number> {
  const { text } = await call(gate, '/metrics');
  const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

const me = (gate: { url: string }, token: string | undefined): Promise<Answer> => call(gate, '/me', { token });
/** Within so long a revocation takes effect on every node, whatever its cache holds. */
const revocationTakesEffectMs = 1_000;
/** `internal` is counted and not limited. */
const claimsOf = (sub: string, more: Record<string, unknown> = {}) => ({ sub, usage_plan: 'internal', ...more });

describe('two processes and the development issuer', () => {
  let world: World;
  let one: GateProcess;
  let two: GateProcess;
  let operator: string;

  beforeAll(async () => {
    world = await World.create();
    [one, two] = await Promise.all([world.start(), world.start()]);
    operator = await tokenFor(one, claimsOf('user_olu', { role: 'operator' }));
  });
  afterAll(() => world.end());

  const revoke = (body: Record<string, unknown>): Promise<Answer> =>
    call(one, '/auth/revocations', { token: operator, body });

  /** Asks the second process until it refuses; what was sent later than the bound after `revokedAt` it must refuse. */
  async function expectRefusedInTime(token: string, revokedAt: number): Promise<void> {
    let admittedAt = revokedAt;
    // What the machine stood still, by what a statement took that takes a millisecond.
    let stalledMs = 0;
    await until(
      async () => {
        const sentAt = performance.now();
        const { status } = await me(two, token);
        const askedAt = performance.now();
        await world.sql('SELECT 1');
        stalledMs = Math.max(stalledMs, performance.now() - askedAt - 50);
        if (status === 200) admittedAt = sentAt;
        return status === 401 || admittedAt - revokedAt > revocationTakesEffectMs + stalledMs;
      },
      30_000,
      () => 'the revoked token is neither admitted nor refused',
    );
    expect(admittedAt - revokedAt - stalledMs).toBeLessThanOrEqual(revocationTakesEffectMs);
  }

  /** Warms the token on the second process, revokes on the first, and sees the second refuse in time. */
  async function expectRevoked(token: string, body: Record<string, unknown>): Promise<void> {
    expect((await me(two, token)).status).toBe(200);
    const { status } = await revoke(body);
    const revokedAt = performance.now();
    expect(status).toBe(201);
    expect((await me(one, token)).status).toBe(401);
    await expectRefusedInTime(token, revokedAt);
    expect((await me(two, token)).headers.get('www-authenticate')).toContain('error="invalid_token"');
  }

  it('accept each other’s tokens, which name the address that was asked', async () => {
    const token = await tokenFor(one, {});
    expect((await me(two, token)).body).toEqual({
      userId: 'user_dev',
      clientId: 'client_dev',
      practiceId: 'practice_p001',
      accountId: 'practice_p001',
      role: 'scheduling_agent',
      scopes: [],
      plan: 'standard',
      region: 'us-east-1',
      usagePlan: 'standard',
    });
    const discovery = await call<{ issuer: string; jwks_uri: string }>(two, '/.well-known/openid-configuration');
    expect(discovery.body.issuer).toBe(two.url);
    expect((await fetch(discovery.body.jwks_uri)).status).toBe(200);
  });

  it('give a demo user’s token to an OAuth client', async () => {
    const answer = await call<{ access_token: string }>(one, '/dev/oauth/token', {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from('operator:any').toString('base64')}`,
      },
      body: 'grant_type=client_credentials',
    });
    expect((await me(two, answer.body.access_token)).body).toMatchObject({ role: 'operator', userId: 'user_operator' });
  });

  it('verify a token once for 1,000 requests', async () => {
    const token = await tokenFor(one, claimsOf('user_thousand'));
    const [verifications, hits] = await Promise.all([
      metric(one, 'authoriser_verifications_total'),
      metric(one, 'authoriser_cache_hits_total'),
    ]);
    // As many at once as are let in at once.
    for (let batch = 0; batch < 40; batch++) {
      const answers = await Promise.all(Array.from({ length: 25 }, () => me(one, token)));
      expect(answers.every(({ status }) => status === 200)).toBe(true);
    }
    expect(await metric(one, 'authoriser_verifications_total')).toBe(verifications + 1);
    // Whoever came while the first was being verified waited for it.
    expect((await metric(one, 'authoriser_cache_hits_total')) - hits).toBeGreaterThanOrEqual(950);
  });

  it.each([
    ['jti', { jti: 'tok_e2e' }, { jti: 'tok_e2e' }],
    ['sub', { sub: 'user_bo' }, { sub: 'user_bo' }],
    ['clientId', { client_id: 'app_bo' }, { clientId: 'app_bo' }],
  ])('refuse a token on the other process, too, within 1 s of its revocation by %s', async (_, claims, body) => {
    await expectRevoked(await tokenFor(one, claimsOf('user_revoked', claims)), body);
  });

  it('refuse a revoked token while Redis does not answer, too', async () => {
    const token = await tokenFor(one, claimsOf('user_paused', { jti: 'tok_paused' }));
    expect((await me(two, token)).status).toBe(200);
    process.kill(world.redisPid, 'SIGSTOP');
    try {
      await expectRevoked(token, { jti: 'tok_paused' });
    } finally {
      process.kill(world.redisPid, 'SIGCONT');
    }
  });

  it('let a user back in with a token issued later', async () => {
    const before = await tokenFor(one, claimsOf('user_back'));
    await expectRevoked(before, { sub: 'user_back' });
    let status = 401;
    await until(async () => {
      ({ status } = await me(two, await tokenFor(one, claimsOf('user_back'))));
      return status === 200;
    }, 3_000);
    expect((await me(two, before)).status).toBe(401);
  });

  it('know the revocations of before their start', async () => {
    const token = await tokenFor(one, claimsOf('user_early', { jti: 'tok_early' }));
    await revoke({ jti: 'tok_early' });
    const late = await world.start();
    expect((await me(late, token)).status).toBe(401);
  });

  it('see a revocation whose transaction began early and ended late', async () => {
    const token = await tokenFor(one, claimsOf('user_slow', { jti: 'tok_slow' }));
    expect((await me(two, token)).status).toBe(200);
    const slow = new Client({ connectionString: world.environment.DATABASE_SYSTEM_URL });
    await slow.connect();
    try {
      await slow.query('BEGIN');
      await slow.query(
        `INSERT INTO revocations (id, kind, value, revoked_at, expires_at, revoked_by)
         VALUES ('rev_00000000000000000000000000', 'jti', 'tok_slow', now(), now() + interval '1 day', 'user_olu')`,
      );
      // Later ones commit first, and are seen.
      for (const jti of ['tok_fast1', 'tok_fast2']) {
        await expectRevoked(await tokenFor(one, claimsOf('user_fast', { jti })), { jti });
      }
      expect((await me(two, token)).status).toBe(200);
      await slow.query('COMMIT');
      await expectRefusedInTime(token, performance.now());
    } finally {
      await slow.end();
    }
  });

  it('list the revocations to operators, newest first, page by page', async () => {
    for (const jti of ['tok_list1', 'tok_list2', 'tok_list3']) await revoke({ jti });
    interface Listed {
      data: { id: string; jti?: string; revokedBy: string; revokedAt: string; expiresAt: string }[];
      nextCursor: string | null;
    }
    const first = await call<Listed>(two, '/auth/revocations?limit=2', { token: operator });
    expect(first.status).toBe(200);
    expect(first.body.data.map(({ jti }) => jti)).toEqual(['tok_list3', 'tok_list2']);
    expect(first.body.data[0]).toMatchObject({ revokedBy: 'user_olu', id: expect.stringMatching(/^rev_/) as string });
    const second = await call<Listed>(two, `/auth/revocations?limit=1&cursor=${first.body.nextCursor}`, {
      token: operator,
    });
    expect(second.body.data.map(({ jti }) => jti)).toEqual(['tok_list1']);
    expect((await call(two, '/auth/revocations?cursor=nonsense', { token: operator })).status).toBe(400);
  });

  it.each([
    [{}],
    [{ jti: 'a', sub: 'b' }],
    [{ jti: 'a', other: 1 }],
    [{ jti: '' }],
    [{ sub: 7 }],
    [{ clientId: null }],
    [{ jti: 'a\u0001b' }],
    [{ sub: 'x'.repeat(256) }],
  ])('refuse to revoke %j', async (body) => {
    const answer = await revoke(body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'validation_failed', errors: expect.any(Array) as unknown[] });
  });

  it('let nobody but an operator revoke or list', async () => {
    const agent = await tokenFor(one, claimsOf('user_agent'));
    const nobody = await tokenFor(one, claimsOf('user_none', { role: null }));
    for (const token of [agent, nobody]) {
      const refused = await call(one, '/auth/revocations', { token, body: { sub: 'user_olu' } });
      expect(refused.status).toBe(403);
      expect(refused.body).toMatchObject({ code: 'insufficient_role' });
      expect((await call(one, '/auth/revocations', { token })).status).toBe(403);
    }
    expect((await call(one, '/auth/revocations', { body: { sub: 'user_olu' } })).status).toBe(401);
    expect((await me(one, operator)).status).toBe(200);
  });

  it('let the runtime role neither read nor write the revocations', async () => {
    const client = await world.runtimeClient();
    try {
      await expect(client.query('SELECT * FROM revocations')).rejects.toThrow('permission denied');
      await expect(client.query('DELETE FROM revocations')).rejects.toThrow('permission denied');
    } finally {
      await client.end();
    }
  });

  it('write who revoked what to the log, and never a token', async () => {
    const token = await tokenFor(one, claimsOf('user_logged', { jti: 'tok_logged' }));
    await revoke({ jti: 'tok_logged' });
    await me(one, token);
    await until(() => one.log.includes('tok_logged'));
    const line = one.log.split('\n').find((text) => text.includes('tok_logged')) ?? '{}';
    expect(JSON.parse(line)).toMatchObject({
      actor: 'user_olu',
      kind: 'jti',
      correlationId: expect.any(String) as string,
    });
    expect(one.log).not.toContain(token.split('.')[2]);
  });

  it('challenge after RFC 6750: without an error where no token came, with one where it was bad', async () => {
    const challenge = async (headers: Record<string, string>, path = '/me') => {
      const { status, headers: answered, body } = await call(one, path, { headers });
      expect(status).toBe(401);
      expect(body).toMatchObject({ correlationId: answered.get('x-correlation-id') });
      return answered.get('www-authenticate');
    };
    expect(await challenge({})).toBe('Bearer realm="gatehouse"');
    expect(await challenge({ authorization: 'Basic YTpi' })).toBe('Bearer realm="gatehouse"');
    expect(await challenge({ authorization: 'Bearer a.b.c' })).toContain('error="invalid_token"');
    expect(await challenge({ authorization: 'Bearer abc' })).toContain('error="invalid_token"');
    expect(await challenge({}, '/me?access_token=a.b.c')).toContain('error="invalid_request"');
  });

  it('refuse a request with several Authorization headers, equal ones too', async () => {
    const bearer = `Bearer ${await tokenFor(one, {})}`;
    expect(await statusOf(one, ['Authorization', bearer])).toBe(200);
    // The firewall's answer; it stands before.
    expect(await statusOf(one, ['Authorization', bearer, 'authorization', bearer])).toBe(400);
  });

  it('wake each other over Redis at a revocation', async () => {
    const redis = new IORedis(world.redisUrl);
    try {
      const [, listeners] = (await redis.call('PUBSUB', 'NUMSUB', 'gatehouse:revocations')) as [string, number];
      expect(listeners).toBeGreaterThanOrEqual(2);
      const told = new Promise((resolve) => redis.once('message', resolve));
      await redis.subscribe('gatehouse:revocations');
      await revoke({ jti: 'tok_told' });
      expect(await told).toBe('gatehouse:revocations');
    } finally {
      redis.disconnect();
    }
  });

  it('answer whatever stands in an Authorization header with 401 and nothing else', async () => {
    const token = await tokenFor(one, {});
    const garbage = fc.oneof(
      fc.string({ unit: 'binary-ascii', maxLength: 300 }),
      fc.string({ maxLength: 300 }).map((text) => `Bearer ${text}`),
      fc.array(fc.base64String({ maxLength: 200 }), { maxLength: 5 }).map((parts) => `Bearer ${parts.join('.')}`),
      // Not its last letter: four of the six bits that it stands for are no part of the signature.
      fc
        .tuple(fc.nat(token.length - 2), fc.constantFrom('A', '.', '-', '=', '%', '\u00ff', ' '))
        .map(([at, letter]) => `Bearer ${token.slice(0, at)}${letter}${token.slice(at + 1)}`)
        .filter((header) => header !== `Bearer ${token}`),
    );
    // What no header may carry never leaves the client.
    const sendable = garbage.map((text) => text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, ''));
    await fc.assert(
      fc.asyncProperty(sendable, async (authorization) => {
        expect(await statusOf(one, ['Authorization', authorization])).toBe(401);
      }),
      { numRuns: 400 },
    );
  });
});

/** The status of `GET /me` with exactly these headers; `fetch` would join or refuse some. */
function statusOf(gate: GateProcess, headers: string[]): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const host = ['Host', new URL(gate.url).host];
    const sent = request(`${gate.url}/me`, { headers: [...host, ...headers] }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    sent.on('error', reject).end();
  });
}
