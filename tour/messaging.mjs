// @ts-check
import { WebClient } from '@slack/web-api';
import { randomUUID } from 'node:crypto';

const silent = { debug() {}, info() {}, warn() {}, error() {}, setLevel() {}, setName() {}, getLevel: () => 'error' };

/** A bot's morning, through Slack's own client. @param {import('./guide.mjs').Guide} guide */
export async function messaging(guide) {
  guide.chapter('Messaging: the bot of an app in workspace T0DEMO, through @slack/web-api');
  const bot = {
    sub: 'U0DEMOBOT',
    client_id: `app_${randomUUID()}`,
    workspace_id: 'T0DEMO',
    practice_id: null,
    role: null,
    scope: 'chat:write channels:read channels:history',
    usage_plan: 'enterprise',
  };
  /** @param {string} token */
  const client = (token) =>
    new WebClient(token, {
      slackApiUrl: `${guide.gate}/api/`,
      rejectRateLimitedCalls: true,
      retryConfig: { retries: 0 },
      logger: /** @type {never} */ (silent),
    });
  const token = await guide.token(bot);
  const slack = client(token);

  const posted = await slack.chat.postMessage({ channel: '#general', text: 'Good morning' });
  const { messages } = await slack.conversations.history({ channel: String(posted.channel), limit: 1 });
  guide.tell(
    posted.ok && messages?.[0]?.ts === posted.ts,
    'chat.postMessage posts to #general, and conversations.history has it',
    'messages: ordered by the channel’s row, durable before the answer',
  );

  const names = [];
  for await (const page of slack.paginate('conversations.list', { limit: 1 })) {
    names.push(.../** @type {any} */ (page).channels.map((/** @type {{ name: string }} */ { name }) => name));
  }
  guide.tell(
    names.includes('general') && names.includes('random'),
    'paginate walks conversations.list a channel a page',
    'cursors: opaque, behind the last key',
  );

  const refused = await slack.conversations.create({ name: 'no' }).catch((error) => error.data);
  guide.tell(
    refused.error === 'missing_scope' && refused.needed === 'channels:manage',
    'conversations.create: missing_scope, needed channels:manage',
    'scopes: the policy’s refusal, in the shape of Slack',
  );

  const posts = await Promise.allSettled(
    Array.from({ length: 25 }, (_, n) => slack.chat.postMessage({ channel: '#random', text: `number ${n + 1}` })),
  );
  const limited = posts.flatMap((post) => (post.status === 'rejected' ? [post.reason] : []));
  guide.tell(
    limited.length === 6 && limited.every(({ code }) => code === 'slack_webapi_rate_limited_error'),
    `25 posts at once: 19 pass beside the one before, 6 are told to wait ${limited[0]?.retryAfter} s`,
    'throttling: tier 2, an exact window, one atomic decision',
  );

  const neighbour = client(await guide.token({ ...bot, client_id: `app_${randomUUID()}` }));
  guide.tell(
    (await neighbour.chat.postMessage({ channel: '#random', text: 'Not my flood' })).ok,
    'another app posts to the same channel meanwhile',
    'throttling: by app, workspace and method',
  );

  const usage = await guide.call('/usage', { token });
  const tier = usage.body.limits.find((/** @type {{ name: string }} */ { name }) => name === 'chat.postMessage');
  guide.tell(
    tier?.used === 20 && tier.remaining === 0,
    `GET /usage tells the app: ${tier?.used} of ${tier?.quota} posts used, until ${tier?.resetsAt}`,
    'usage: asked without using up a post',
  );
}
