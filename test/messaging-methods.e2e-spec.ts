import { call } from './support/api';
import type { GateProcess } from './support/process';
import { botToken, seedWorkspace, slackClient, type Workspace } from './support/workspace';
import { World } from './support/world';

describe('the methods of messaging', () => {
  let world: World;
  let gate: GateProcess;
  let ours: Workspace;
  let made = 0;

  beforeAll(async () => {
    world = await World.create();
    ours = await seedWorkspace(world, 'ours', { users: 5, channels: 4 });
    await world.sql(
      `INSERT INTO channels (workspace_id, id, name, is_private, creator) VALUES ('Tours', 'Csecret', 'secret', true, 'Uours2')`,
    );
    await world.sql(
      `INSERT INTO channel_members (workspace_id, channel_id, user_id) VALUES ('Tours', 'Csecret', 'Uours2')`,
    );
    gate = await world.start({ GATEHOUSE_ROLE: 'api', REDIS_DEADLINE_MS: '10000' });
  });
  afterAll(() => world.end());

  /** A client of an app that was never seen, so that its windows are empty. */
  const client = async (claims: Record<string, unknown> = {}) =>
    slackClient(gate, await botToken(gate, ours, { client_id: `app_fresh${(made += 1)}`, ...claims }));
  const refusal = (error: string) => ({ data: expect.objectContaining({ ok: false, error }) as unknown });
  const post = async (slack: Awaited<ReturnType<typeof client>>, text: string, thread?: string) =>
    String(
      (await slack.chat.postMessage({ channel: 'Cours1', text, ...(thread !== undefined && { thread_ts: thread }) }))
        .ts,
    );

  it('changes a message, and says that it was', async () => {
    const slack = await client();
    const ts = await post(slack, 'befor');
    const updated = await slack.chat.update({ channel: 'Cours1', ts, text: 'before' });
    expect(updated).toMatchObject({ ok: true, channel: 'Cours1', ts, text: 'before' });
    const { messages } = await slack.conversations.history({ channel: 'Cours1', oldest: ts, inclusive: true });
    expect(messages?.at(-1)).toMatchObject({ ts, text: 'before', edited: { user: 'Uours1' } });
    await expect(slack.chat.update({ channel: 'Cours1', ts, text: '' })).rejects.toMatchObject(refusal('no_text'));
  });

  it('deletes a message', async () => {
    const slack = await client();
    const ts = await post(slack, 'a mistake');
    expect(await slack.chat.delete({ channel: 'Cours1', ts })).toMatchObject({ ok: true, channel: 'Cours1', ts });
    const { messages } = await slack.conversations.history({ channel: 'Cours1', oldest: ts, inclusive: true });
    expect(messages).toEqual([]);
    await expect(slack.chat.delete({ channel: 'Cours1', ts })).rejects.toMatchObject(refusal('message_not_found'));
  });

  it('lets nobody but who posted it, through the app that posted it, change or delete a message', async () => {
    const slack = await client();
    const ts = await post(slack, 'mine');
    for (const other of [await client(), await client({ sub: 'Uours2' })]) {
      const change = other.chat.update({ channel: 'Cours1', ts, text: 'yours' });
      await expect(change).rejects.toMatchObject(refusal('cant_update_message'));
      await expect(other.chat.delete({ channel: 'Cours1', ts })).rejects.toMatchObject(refusal('cant_delete_message'));
    }
  });

  it('keeps a thread together: counts, the newest reply, pages with the first message first', async () => {
    const slack = await client();
    const ts = await post(slack, 'parent');
    const replies = [];
    for (const text of ['one', 'two', 'three']) replies.push(await post(slack, text, ts));
    const parent = async () => {
      const { messages } = await slack.conversations.history({ channel: 'Cours1', oldest: ts, inclusive: true });
      return messages?.map(({ text, reply_count, latest_reply, subtype }) => ({
        text,
        reply_count,
        latest_reply,
        subtype,
      }));
    };
    expect(await parent()).toEqual([{ text: 'parent', reply_count: 3, latest_reply: replies[2], subtype: undefined }]);
    const pages: string[][] = [];
    for await (const page of slack.paginate('conversations.replies', { channel: 'Cours1', ts, limit: 3 })) {
      pages.push((page as unknown as { messages: { text: string }[] }).messages.map(({ text }) => text));
    }
    expect(pages).toEqual([['parent', 'one', 'two'], ['three']]);
    await slack.chat.delete({ channel: 'Cours1', ts: String(replies[2]) });
    expect(await parent()).toEqual([{ text: 'parent', reply_count: 2, latest_reply: replies[1], subtype: undefined }]);
    await slack.chat.delete({ channel: 'Cours1', ts });
    expect(await parent()).toEqual([{ text: '', reply_count: 2, latest_reply: replies[1], subtype: 'tombstone' }]);
    await expect(post(slack, 'too late', ts)).rejects.toMatchObject(refusal('thread_not_found'));
    await expect(post(slack, 'deeper', String(replies[0]))).rejects.toMatchObject(refusal('thread_not_found'));
    const none = slack.conversations.replies({ channel: 'Cours1', ts: '1.000001' });
    await expect(none).rejects.toMatchObject(refusal('thread_not_found'));
  });

  it('leaves no reply without its thread, whichever of the reply and the deletion is first', async () => {
    const crowd = await Promise.all(Array.from({ length: 3 }, () => client()));
    for (let round = 0; round < 5; round += 1) {
      const [author] = crowd;
      if (!author) throw new Error('There is no crowd');
      const ts = await post(author, 'parent');
      await Promise.allSettled([
        ...crowd.map((slack) => post(slack, 'reply', ts)),
        author.chat.delete({ channel: 'Cours1', ts }),
      ]);
    }
    const orphans = await world.sql(
      `SELECT r.ts FROM messages r LEFT JOIN messages p ON p.channel_id = r.channel_id AND p.ts = r.thread_ts
       WHERE r.thread_ts IS NOT NULL AND p.ts IS NULL`,
    );
    expect(orphans).toEqual([]);
    const wrong = await world.sql(
      `SELECT p.ts FROM messages p WHERE p.thread_ts IS NULL AND p.reply_count <>
         (SELECT count(*) FROM messages r WHERE r.channel_id = p.channel_id AND r.thread_ts = p.ts)`,
    );
    expect(wrong).toEqual([]);
  });

  it('makes a channel whose creator is its first member, once for each name', async () => {
    const slack = await client();
    const { channel } = await slack.conversations.create({ name: 'release-notes' });
    expect(channel).toMatchObject({
      name: 'release-notes',
      creator: 'Uours1',
      is_member: true,
      num_members: 1,
      is_private: false,
    });
    expect(channel?.id).toMatch(/^C[0-9A-Z]{26}$/);
    await expect(slack.conversations.create({ name: 'release-notes' })).rejects.toMatchObject(refusal('name_taken'));
    await expect(slack.conversations.create({ name: 'Not A Name' })).rejects.toMatchObject(
      refusal('invalid_arguments'),
    );
    expect((await slack.chat.postMessage({ channel: String(channel?.id), text: 'first' })).ok).toBe(true);
  });

  it('joins a public channel, twice without harm, and no private or archived one', async () => {
    const slack = await client();
    const first = await slack.conversations.join({ channel: 'Cours4' });
    expect(first).toMatchObject({ ok: true, channel: { id: 'Cours4', is_member: true, num_members: 1 } });
    expect(first.warning).toBeUndefined();
    const again = await slack.conversations.join({ channel: 'Cours4' });
    expect(again).toMatchObject({ channel: { num_members: 1 }, warning: 'already_in_channel' });
    await expect(slack.conversations.join({ channel: 'Csecret' })).rejects.toMatchObject(refusal('channel_not_found'));
    await world.sql(`UPDATE channels SET is_archived = true WHERE id = 'Cours3'`);
    await expect(slack.conversations.join({ channel: 'Cours3' })).rejects.toMatchObject(refusal('is_archived'));
    await expect(slack.chat.postMessage({ channel: 'Cours3', text: 'x' })).rejects.toMatchObject(
      refusal('is_archived'),
    );
  });

  it('posts, or says why not, while a channel is archived and opened again all the time', async () => {
    const slacks = await Promise.all(Array.from({ length: 12 }, () => client()));
    const toggling = new AbortController();
    const toggle = `UPDATE channels SET is_archived = NOT is_archived WHERE workspace_id = 'Tours' AND id = 'Cours2'`;
    const toggled = (async () => {
      while (!toggling.signal.aborted) await world.sql(toggle);
    })();
    // A client posts its next one after the answer: more than 16 at once that wait for one lock are refused as too many.
    const outcomes = await Promise.all(
      slacks.map(async (slack, app) => {
        const answers: PromiseSettledResult<unknown>[] = [];
        for (let n = 0; n < 20; n += 1)
          answers.push(
            ...(await Promise.allSettled([slack.chat.postMessage({ channel: 'Cours2', text: `toggled ${app}-${n}` })])),
          );
        return answers;
      }),
    ).then((all) => all.flat());
    toggling.abort();
    await toggled;
    await world.sql(`UPDATE channels SET is_archived = false WHERE workspace_id = 'Tours' AND id = 'Cours2'`);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    for (const { reason } of refused) expect(reason).toMatchObject(refusal('is_archived'));
    const posted = await world.sql(`SELECT FROM messages WHERE channel_id = 'Cours2' AND text LIKE 'toggled %'`);
    expect(posted).toHaveLength(outcomes.length - refused.length);
    expect(refused.length).toBeGreaterThan(0);
    expect(posted.length).toBeGreaterThan(0);
  });

  it('shows a private channel to its members alone', async () => {
    const types = 'public_channel,private_channel';
    const names = async (sub: string) => {
      const { channels } = await (await client({ sub })).conversations.list({ types });
      return channels?.map(({ name }) => name);
    };
    expect(await names('Uours2')).toContain('secret');
    expect(await names('Uours1')).not.toContain('secret');
    const stranger = await client();
    for (const ask of [
      () => stranger.conversations.history({ channel: 'Csecret' }),
      () => stranger.conversations.members({ channel: 'Csecret' }),
      () => stranger.chat.postMessage({ channel: 'Csecret', text: 'x' }),
    ]) {
      await expect(ask()).rejects.toMatchObject(refusal('channel_not_found'));
    }
  });

  it('tells who is in a channel and in the workspace, page by page', async () => {
    const slack = await client();
    const members: string[] = [];
    for await (const page of slack.paginate('conversations.members', { channel: 'Cours1', limit: 2 })) {
      members.push(...(page as unknown as { members: string[] }).members);
    }
    expect(members).toEqual(ours.users);
    const users: string[] = [];
    for await (const page of slack.paginate('users.list', { limit: 3 })) {
      users.push(...(page as unknown as { members: { id: string }[] }).members.map(({ id }) => id));
    }
    expect(users).toEqual(ours.users);
    const { user } = await slack.users.info({ user: 'Uours1' });
    expect(user).toMatchObject({ id: 'Uours1', team_id: 'Tours', name: 'oursuser1', is_bot: true, deleted: false });
    const stranger = (await client()).users.info({ user: 'Unobody' });
    await expect(stranger).rejects.toMatchObject(refusal('user_not_found'));
    expect(await slack.team.info()).toMatchObject({ team: { id: 'Tours', name: 'ours inc.', domain: 'ours.example' } });
  });

  it('takes what clients of Slack ask for by habit, and refuses what would be lost unseen', async () => {
    const slack = await client();
    const shown = { as_user: true, mrkdwn: true, unfurl_links: false, unfurl_media: false, link_names: true } as const;
    const { ts = '' } = await slack.chat.postMessage({ channel: 'Cours1', text: 'by habit', ...shown });
    const { messages } = await slack.conversations.history({ channel: 'Cours1', limit: 1, include_all_metadata: true });
    expect(messages?.map((message) => message.ts)).toEqual([ts]);
    expect((await slack.users.list({ include_locale: true })).ok).toBe(true);
    expect((await slack.users.info({ user: 'Uours1', include_locale: true })).ok).toBe(true);
    const lost = slack.chat.postMessage({ channel: 'Cours1', text: 'by habit', blocks: [{ type: 'divider' }] });
    await expect(lost).rejects.toMatchObject(refusal('invalid_arguments'));
  });

  it('refuses whoever is no user of the workspace any more', async () => {
    const slack = await client({ sub: 'Ugone' });
    await expect(slack.auth.test()).rejects.toMatchObject(refusal('account_inactive'));
    await expect(slack.conversations.join({ channel: 'Cours1' })).rejects.toMatchObject(refusal('account_inactive'));
    await expect(slack.conversations.create({ name: 'by-nobody' })).rejects.toMatchObject(refusal('account_inactive'));
  });

  it('knows no method that it has not, by POST and by GET, with and without a token', async () => {
    const slack = await client();
    await expect(slack.apiCall('rtm.connect')).rejects.toMatchObject(refusal('unknown_method'));
    const { status, body } = await call(gate, '/api/nothing.here');
    expect([status, body]).toEqual([200, { ok: false, error: 'unknown_method' }]);
  });

  it('takes the methods that read by GET, under the same limit', async () => {
    const token = await botToken(gate, ours, { client_id: `app_fresh${(made += 1)}` });
    const byGet = await call(gate, '/api/conversations.history?channel=Cours1&limit=1', { token });
    expect([byGet.status, byGet.body.ok]).toEqual([200, true]);
    expect((await call(gate, '/api/team.info', { token })).body.ok).toBe(true);
    const byPost = await call(gate, '/api/team.info', { token, method: 'POST' });
    expect([byPost.status, byPost.body]).toEqual([429, { ok: false, error: 'ratelimited' }]);
    const inUrl = await call(gate, `/api/users.list?token=${token}`);
    expect(inUrl.body).toEqual({ ok: false, error: 'not_authed' });
  });
});
