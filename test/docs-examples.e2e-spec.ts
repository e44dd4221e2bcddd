import { randomUUID } from 'node:crypto';
import { call, tokenFor } from './support/api';
import type { GateProcess } from './support/process';
import { World } from './support/world';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly example?: unknown;
  readonly schema?: { readonly example?: unknown };
}

interface Operation {
  readonly summary: string;
  readonly description: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { example?: unknown }>> };
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

interface Tried {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

const formType = 'application/x-www-form-urlencoded';
/** Who may call what, by the first part of the path; the agent of the first demo practice where nothing is named. */
const roleOf: Readonly<Record<string, string>> = {
  patients: 'practice_admin',
  audit: 'security_officer',
  auth: 'operator',
  'usage-plans': 'operator',
  'app-usage': 'operator',
  'dead-letters': 'operator',
};

describe('the examples of /docs, over the demo data', () => {
  let world: World;
  let gate: GateProcess;
  let operations: readonly Tried[];
  let bot: string;

  beforeAll(async () => {
    world = await World.create();
    const demo = { NODE_ENV: 'development', DATABASE_ADMIN_URL: world.ownerUrl };
    gate = await world.start({ GATEHOUSE_ROLE: 'api', THROTTLE_MODE: 'shadow', ...demo });
    const { body } = await call<{ access_token: string }>(gate, '/dev/oauth/token', {
      headers: { 'content-type': formType },
      body: 'grant_type=client_credentials&client_id=app_standup&client_secret=any',
    });
    bot = body.access_token;
    const document = (await call<Document>(gate, '/docs-json')).body;
    operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
    );
  }, 60_000);
  afterAll(() => world.end());

  it('are where the address that the console names leads', async () => {
    const answer = await fetch(gate.url, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/docs']);
    expect((await call<unknown>(gate, '/?x=1', { method: 'POST' })).status).toBe(404);
  });

  const tokenOf = async (path: string): Promise<string | undefined> => {
    const part = path.split('/')[1] ?? '';
    if (part === 'api') return bot;
    const role = roleOf[part] ?? 'scheduling_agent';
    return tokenFor(gate, { role, practice_id: 'practice_p001', usage_plan: 'internal' });
  };

  /** Sends what Swagger UI has filled in when nobody changes a field. */
  async function tryOut({ method, path, operation }: Tried) {
    const { parameters = [], requestBody } = operation;
    const exampleOf = ({ example, schema }: Parameter) => `${(example ?? schema?.example ?? '') as string | number}`;
    let url = path;
    for (const one of parameters) if (one.in === 'path') url = url.replace(`{${one.name}}`, exampleOf(one) || 'none');
    const query = parameters.filter((one) => one.in === 'query' && exampleOf(one) !== '');
    if (query.length > 0)
      url += `?${query.map((one) => `${one.name}=${encodeURIComponent(exampleOf(one))}`).join('&')}`;
    const [type, media] = Object.entries(requestBody?.content ?? {})[0] ?? [];
    const example = media?.example;
    const body = type === formType ? new URLSearchParams(example as Record<string, string>).toString() : example;
    const headers = {
      ...(parameters.some(({ name }) => name === 'Idempotency-Key') && { 'idempotency-key': randomUUID() }),
      ...(type === formType && { 'content-type': formType }),
    };
    return call(gate, url, { method, token: await tokenOf(path), body, headers });
  }

  it('are taken as they stand by the routes that they belong to', async () => {
    expect(operations.length).toBeGreaterThan(40);
    // What deletes comes last: the others name the same message.
    const inOrder = [...operations].sort(
      (a, b) => Number(a.path.includes('delete')) - Number(b.path.includes('delete')),
    );
    for (const tried of inOrder) {
      const { status, body } = await tryOut(tried);
      const told = [tried.method, tried.path, status, body];
      // An example's appointment, or dead letter, need not be there; a query of the audit log's last day may find nothing.
      expect([told, status < 300 || status === 404]).toEqual([told, true]);
      if (`${tried.method} ${tried.path}` === 'POST /appointments')
        expect(told).toEqual([...told.slice(0, 2), 201, body]);
      if (tried.path.startsWith('/api/'))
        expect(told).toEqual([...told.slice(0, 3), expect.objectContaining({ ok: true })]);
    }
  }, 60_000);

  it('are told in words, scopes and all, and ask for no header that a browser sends by itself', () => {
    for (const { path, method, operation } of operations) {
      expect([method, path, operation.summary]).toEqual([method, path, expect.stringMatching(/^[A-Z][a-z]+\b[^:]*$/)]);
      const headers = (operation.parameters ?? []).filter((one) => one.in === 'header').map(({ name }) => name);
      expect(headers).toEqual(headers.filter((name) => name === 'Idempotency-Key'));
    }
    const post = operations.find(({ path }) => path === '/api/chat.postMessage');
    expect(post?.operation.description).toContain('Scopes: chat:write.');
  });
});
