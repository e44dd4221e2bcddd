import { call } from './support/api';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { botToken, everyScope, seedWorkspace, slackClient, type Workspace } from './support/workspace';
import { World } from './support/world';

interface Envelope {
  readonly ok: boolean;
  readonly error?: string;
  readonly needed?: string;
  readonly provided?: string;
  readonly response_metadata?: { readonly next_cursor?: string; readonly messages?: readonly string[] };
}

describe('messaging, through Slack’s own client', () => {
  let world: World;
  let gate: GateProcess;
  let ours: Workspace;
  let token: string;
  let made = 0;

  beforeAll(async () => {
    world = await World.create();
    ours = await seedWorkspace(world, 'ours', { users: 3, channels: 5 });
    gate = await world.start({ GATEHOUSE_ROLE: 'api', REDIS_DEADLINE_MS: '10000' });
    token = await botToken(gate, ours);
  });
  afterAll(() => world.end());

  /** A client of an app that was never seen, so that its windows are empty. */
  const client = async (claims: Record<string, unknown> = {}) =>
    slackClient(gate, await botToken(gate, ours, { client_id: `app_fresh${(made += 1)}`, ...claims }));
  const api = (
    method: string,
    body: unknown,
    headers: Record<string, string> = {},
    bearer: string | undefined = token,
  ) =>
    call<Envelope & Record<string, unknown>>(gate, `/api/${method}`, { method: 'POST', token: bearer, body, headers });
  const form = { 'content-type': 'application/x-www-form-urlencoded' };

  it('posts, and finds what it posted in the history', async () => {
    const slack = await client();
    const text = 'O’Brien & <co>: select a date from the list; 1=1';
    const posted = await slack.chat.postMessage({ channel: 'Cours1', text });
    expect(posted).toMatchObject({
      ok: true,
      channel: 'Cours1',
      message: { type: 'message', text, user: 'Uours1', team: 'Tours' },
    });
    expect(posted.ts).toMatch(/^\d{10}\.\d{6}$/);
    const { messages } = await slack.conversations.history({ channel: 'Cours1', limit: 1 });
    expect(messages).toEqual([expect.objectContaining({ text, ts: posted.ts })]);
    const byName = await slack.chat.postMessage({ channel: '#ourschannel1', text: 'by name' });
    expect(byName.channel).toBe('Cours1');
  });

  it('says whom a token stands for', async () => {
    const slack = await client();
    expect(await slack.auth.test()).toMatchObject({
      ok: true,
      team: 'ours inc.',
      team_id: 'Tours',
      user: 'oursuser1',
      user_id: 'Uours1',
    });
  });

  it('lists the channels page by page, as `paginate` asks for them', async () => {
    const slack = await client();
    const pages: string[][] = [];
    for await (const page of slack.paginate('conversations.list', { limit: 2 })) {
      pages.push((page as unknown as { channels: { id: string }[] }).channels.map(({ id }) => id));
    }
    expect(pages).toEqual([['Cours1', 'Cours2'], ['Cours3', 'Cours4'], ['Cours5']]);
  });

  it('reads a history page by page, newest first, each message once, while others are posted', async () => {
    const slack = await client();
    const texts = Array.from({ length: 15 }, (_, n) => `number ${n}`);
    for (const text of texts) await slack.chat.postMessage({ channel: 'Cours2', text });
    const seen: string[] = [];
    for await (const page of slack.paginate('conversations.history', { channel: 'Cours2', limit: 4 })) {
      const { messages } = page as unknown as { messages: { text: string }[] };
      seen.push(...messages.map(({ text }) => text));
      if (seen.length < 9) await slack.chat.postMessage({ channel: 'Cours2', text: 'later' });
    }
    expect(seen).toEqual([...texts].reverse());
  });

  it('ends a page of long messages early, and goes on behind it, in a channel and in a thread', async () => {
    const slack = await client();
    await world.sql(
      `INSERT INTO channels (workspace_id, id, name, creator) VALUES ('Tours', 'Clong', 'long', 'Uours1')`,
    );
    await world.sql(
      `INSERT INTO channel_members (workspace_id, channel_id, user_id) VALUES ('Tours', 'Clong', 'Uours1')`,
    );
    // 160 kB each, as long as messages may be, and behind them one with none.
    await world.sql(
      `INSERT INTO messages (workspace_id, channel_id, ts, user_id, app_id, text, thread_ts, reply_count)
       SELECT 'Tours', 'Clong', 1700000000000000 + n, 'Uours1', 'app_ours',
         CASE WHEN n IN (0, 101) THEN 'short' ELSE repeat('\u{1F600}', 40000) END,
         CASE WHEN n BETWEEN 101 AND 110 THEN 1700000000000100 END, CASE n WHEN 100 THEN 10 ELSE 0 END
       FROM generate_series(0, 110) n WHERE n < 10 OR n >= 100`,
    );
    const walk = async (method: string, given: Record<string, unknown>) => {
      const pages: number[][] = [];
      for await (const page of slack.paginate(method, { channel: 'Clong', limit: 1_000, ...given })) {
        const { messages } = page as unknown as { messages: { ts: string; text: string }[] };
        expect(Buffer.byteLength(messages.map(({ text }) => text).join(''))).toBeLessThan(524_288 + 160_000);
        pages.push(messages.map(({ ts }) => Number(ts.slice('1700000000.000'.length))));
      }
      return pages;
    };
    expect(await walk('conversations.history', {})).toEqual([
      [100, 9, 8, 7],
      [6, 5, 4, 3],
      [2, 1, 0],
    ]);
    expect(await walk('conversations.replies', { ts: '1700000000.000100' })).toEqual([
      [100, 101, 102, 103, 104],
      [105, 106, 107, 108],
      [109, 110],
    ]);
  });

  it('cuts a history by `oldest`, `latest` and `inclusive`', async () => {
    const slack = await client();
    const times: string[] = [];
    for (const text of ['a', 'b', 'c', 'd']) {
      times.push(String((await slack.chat.postMessage({ channel: 'Cours3', text })).ts));
    }
    const [, oldest = '', , latest = ''] = times;
    const texts = async (inclusive: boolean) => {
      const { messages } = await slack.conversations.history({ channel: 'Cours3', oldest, latest, inclusive });
      return messages?.map(({ text }) => text);
    };
    expect(await texts(false)).toEqual(['c']);
    expect(await texts(true)).toEqual(['d', 'c', 'b']);
  });

  it('shows the messages of a channel in the order of their times: who reads on from the newest one misses none', async () => {
    // As many as are let in at once.
    const crowd = await Promise.all(Array.from({ length: 12 }, () => client()));
    const reader = await world.clientOf('superuser');
    const seen: string[] = [];
    const posting = { isOver: false };
    const reading = (async () => {
      for (let isLast = false; !isLast;) {
        isLast = posting.isOver;
        const text = `SELECT ts FROM messages WHERE channel_id = 'Cours4' AND ts > $1::bigint ORDER BY ts`;
        const { rows } = await reader.query<{ ts: string }>(text, [seen.at(-1) ?? '0']);
        seen.push(...rows.map(({ ts }) => ts));
      }
    })();
    const times = await Promise.all(
      crowd.map(async (slack) => {
        const own: string[] = [];
        for (let n = 0; n < 8; n += 1)
          own.push(String((await slack.chat.postMessage({ channel: 'Cours4', text: `${n}` })).ts));
        return own;
      }),
    );
    posting.isOver = true;
    await reading;
    await reader.end();
    expect(seen.map((ts) => `${ts.slice(0, -6)}.${ts.slice(-6)}`)).toEqual(times.flat().sort());
    expect(new Set(seen).size).toBe(96);
  });

  it('takes JSON, a form, and the token in the form', async () => {
    expect((await api('chat.postMessage', { channel: 'Cours1', text: 'json' })).body).toMatchObject({ ok: true });
    expect((await api('chat.postMessage', 'channel=Cours1&text=a+form', form)).body).toMatchObject({
      ok: true,
      message: { text: 'a form' },
    });
    const inForm = `token=${token}&channel=Cours1&text=x`;
    const alone = await call<Envelope>(gate, '/api/chat.postMessage', { body: inForm, headers: form });
    expect(alone.body.ok).toBe(true);
    expect((await api('chat.postMessage', inForm, form)).body.ok).toBe(true);
    const other = await botToken(gate, ours, { client_id: 'app_other' });
    expect((await api('chat.postMessage', inForm, form, other)).body).toEqual({ ok: false, error: 'invalid_auth' });
    const slack = slackClient(gate, '', { headers: {} });
    expect((await slack.auth.test({ token })).ok).toBe(true);
  });

  it.each([
    ['no token', 'not_authed', (): Record<string, unknown> | undefined => undefined],
    ['a token of another issuer’s making', 'invalid_auth', () => ({})],
    ['a token without a workspace', 'invalid_auth', () => ({ workspace_id: 'T ours' })],
  ])('refuses %s with 200 and %s', async (what, error, claims) => {
    const given = claims();
    const bearer = what.includes('another') ? 'a.b.c' : given && (await botToken(gate, ours, given));
    const answer = await call<Envelope>(gate, '/api/auth.test', { method: 'POST', token: bearer });
    expect([answer.status, answer.body]).toEqual([200, { ok: false, error }]);
    expect(answer.headers.get('x-correlation-id')).toMatch(/./);
    expect(answer.headers.get('www-authenticate')).toBeNull();
  });

  it('says which scope is missing', async () => {
    const slack = await client({ scope: 'channels:read users:read' });
    const refused = slack.chat.postMessage({ channel: 'Cours1', text: 'no' });
    await expect(refused).rejects.toMatchObject({
      data: { ok: false, error: 'missing_scope', needed: 'chat:write', provided: 'channels:read,users:read' },
    });
  });

  it('tells its client what the token holds and what the method takes, where it serves and where it refuses', async () => {
    const slack = await client({ scope: 'channels:read users:read' });
    const { response_metadata: served } = await slack.conversations.list();
    expect(served).toMatchObject({ scopes: ['channels:read', 'users:read'], acceptedScopes: ['channels:read'] });
    const refused = slack.chat.postMessage({ channel: 'Cours1', text: 'no' });
    const told = { scopes: ['channels:read', 'users:read'], acceptedScopes: ['chat:write'] };
    await expect(refused).rejects.toMatchObject({ data: { error: 'missing_scope', response_metadata: told } });
    const { response_metadata: open } = await slack.auth.test();
    expect([open?.scopes, open?.acceptedScopes]).toEqual([['channels:read', 'users:read'], undefined]);
  });

  it('tells scopes to known callers alone, on a rate limit too, and none that no header carries', async () => {
    const scope = 'channels:read läsen "a" b,c';
    const app = await botToken(gate, ours, { client_id: `app_fresh${(made += 1)}`, scope });
    const answers = await Promise.all(Array.from({ length: 21 }, () => api('conversations.list', {}, {}, app)));
    const statuses = answers.map(({ status }) => status).sort();
    expect([statuses[0], statuses[20]]).toEqual([200, 429]);
    const told = answers.map(({ headers }) => headers.get('x-oauth-scopes'));
    expect(new Set(told)).toEqual(new Set(['channels:read']));
    const stranger = await api('conversations.list', {}, {}, 'a.b.c');
    const unknown = await api('nothing.here', {});
    for (const { headers } of [stranger, unknown]) {
      expect([headers.get('x-oauth-scopes'), headers.get('x-accepted-oauth-scopes')]).toEqual([null, null]);
    }
  });

  it('says that a token was revoked', async () => {
    const jti = `tok_${made}`;
    const revoked = await botToken(gate, ours, { jti });
    const operator = await botToken(gate, ours, { role: 'operator' });
    const { status } = await call(gate, '/auth/revocations', { token: operator, body: { jti } });
    expect(status).toBeLessThan(300);
    const { body } = await api('auth.test', {}, {}, revoked);
    expect(body).toEqual({ ok: false, error: 'token_revoked' });
  });

  it.each([
    ['a channel that nobody has', 'chat.postMessage', { channel: 'Cnobody', text: 'x' }, 'channel_not_found'],
    ['a channel of which the bot is no member', 'chat.postMessage', { channel: 'Cours5', text: 'x' }, 'not_in_channel'],
    ['a history of which it is no member', 'conversations.history', { channel: 'Cours5' }, 'not_in_channel'],
    ['no text', 'chat.postMessage', { channel: 'Cours1' }, 'no_text'],
    ['too much text', 'chat.postMessage', { channel: 'Cours1', text: '🙂'.repeat(40_001) }, 'msg_too_long'],
    [
      'a thread that is none',
      'chat.postMessage',
      { channel: 'Cours1', text: 'x', thread_ts: '1.000001' },
      'thread_not_found',
    ],
    ['a cursor of its own making', 'conversations.list', { cursor: 'bm9uZQ' }, 'invalid_cursor'],
    ['an argument that nobody knows', 'conversations.list', { colour: 'red' }, 'invalid_arguments'],
    ['no channel', 'conversations.history', {}, 'invalid_arguments'],
    ['a body that ends too early', 'conversations.list', '{"limit":', 'invalid_json'],
    ['a NUL in a text', 'chat.postMessage', { channel: 'Cours1', text: 'a\u0000b' }, 'access_denied'],
  ])('refuses %s: %s', async (_, method, body, error) => {
    const fresh = await botToken(gate, ours, { client_id: `app_fresh${(made += 1)}` });
    const answer = await api(method, body, {}, fresh);
    expect([answer.status, answer.body.ok, answer.body.error]).toEqual([200, false, error]);
  });

  it('takes the longest text that there may be, in a form', async () => {
    const text = '🙂'.repeat(40_000);
    const slack = await client();
    expect((await slack.chat.postMessage({ channel: 'Cours1', text })).ok).toBe(true);
  });

  it('names the argument that is wrong', async () => {
    const { body } = await api('conversations.history', { channel: 'Cours1', limit: 'many' });
    expect(body.response_metadata?.messages).toEqual(['[ERROR] /limit must be integer']);
  });

  it('refuses a body of another type', async () => {
    const { status, body } = await api('conversations.list', 'x', { 'content-type': 'text/plain' });
    expect([status, body.error]).toEqual([200, 'invalid_post_type']);
  });

  it('answers 429 with Retry-After beyond the tier, in the envelope, and lets the SDK know', async () => {
    const app = await botToken(gate, ours, { client_id: `app_fresh${(made += 1)}` });
    const slack = slackClient(gate, app, { rejectRateLimitedCalls: true });
    for (let n = 0; n < 20; n += 1) await slack.conversations.list();
    const refused = await api('conversations.list', {}, {}, app);
    expect([refused.status, refused.body]).toEqual([429, { ok: false, error: 'ratelimited' }]);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    await expect(slack.conversations.list()).rejects.toMatchObject({ code: 'slack_webapi_rate_limited_error' });
    expect(everyScope).toContain('channels:history'); // what the client may still do
    expect((await slack.conversations.history({ channel: 'Cours1' })).ok).toBe(true);
  });

  it('is asked again by the SDK after a failure of ours, and posts once, at the price of one', async () => {
    const hasty = await world.start({ GATEHOUSE_ROLE: 'api', REDIS_DEADLINE_MS: '10000', DEADLINE_MS: '2000' });
    const app = await botToken(hasty, ours, { client_id: `app_fresh${(made += 1)}` });
    const slack = slackClient(hasty, app, { retryConfig: { retries: 100, minTimeout: 10, maxTimeout: 50 } });
    const failures = async () => {
      const { text } = await call(hasty, '/metrics');
      return /^http_request_duration_seconds_count\{.*chat\.postMessage.*status="504".*\} (\d+)$/m.exec(text)?.[1];
    };
    const holder = await world.clientOf('superuser');
    await holder.query('BEGIN; LOCK TABLE channels IN EXCLUSIVE MODE');
    const posting = slack.chat.postMessage({ channel: 'Cours1', text: 'once, whatever it takes' });
    await until(async () => Number(await failures()) >= 2);
    await holder.end();
    const { ok, ts } = await posting;
    expect(ok).toBe(true);
    const rows = await world.sql<{ ts: string }>(`SELECT ts FROM messages WHERE text = 'once, whatever it takes'`);
    expect(rows.map((row) => `${row.ts.slice(0, -6)}.${row.ts.slice(-6)}`)).toEqual([ts]);
    await until(async () => {
      const { body } = await call<{ limits: { name: string; used: number }[] }>(hasty, '/usage', { token: app });
      return body.limits.find(({ name }) => name === 'chat.postMessage')?.used === 1;
    });
  });
});
