import { call } from './support/api';
import type { GateProcess } from './support/process';
import { World } from './support/world';

interface Document {
  readonly paths: Readonly<
    Record<
      string,
      {
        readonly post?: {
          readonly requestBody?: { readonly content: Readonly<Record<string, { example?: unknown }>> };
        };
      }
    >
  >;
}

describe('the messaging examples of /docs, over the demo data', () => {
  let world: World;
  let gate: GateProcess;
  let token: string;
  let examples: readonly (readonly [path: string, body: unknown])[];

  beforeAll(async () => {
    world = await World.create();
    const demo = { NODE_ENV: 'development', DATABASE_ADMIN_URL: world.ownerUrl };
    gate = await world.start({ GATEHOUSE_ROLE: 'api', REDIS_DEADLINE_MS: '2000', ...demo });
    const { body } = await call<{ access_token: string }>(gate, '/dev/oauth/token', {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'grant_type=client_credentials&client_id=app_standup&client_secret=any',
    });
    token = body.access_token;
    const document = (await call<Document>(gate, '/docs-json')).body;
    examples = Object.entries(document.paths).flatMap(([path, { post }]) =>
      path.startsWith('/api/') && post?.requestBody
        ? [[path, post.requestBody.content['application/json']?.example] as const]
        : [],
    );
  }, 60_000);
  afterAll(() => world.end());

  it('succeed as they stand, with the token that Authorize gives to app_standup', async () => {
    expect(examples.length).toBeGreaterThan(12);
    // What deletes comes last: the others name the same message.
    const inOrder = [...examples].sort(([a], [b]) => Number(a.includes('delete')) - Number(b.includes('delete')));
    for (const [path, example] of inOrder) {
      const { body } = await call(gate, path, { token, body: example });
      expect([path, body]).toEqual([path, expect.objectContaining({ ok: true })]);
    }
  });
});
