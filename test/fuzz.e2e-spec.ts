import fc from 'fast-check';
import { roles } from '../src/policy/auth/caller';
import { type Answer, call, tokenFor } from './support/api';
import { type Practice, seedPractice } from './support/practice';
import type { GateProcess } from './support/process';
import { routeCases } from './support/route-requests';
import { botToken, seedWorkspace } from './support/workspace';
import { World } from './support/world';

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly schema?: { readonly example?: unknown };
}

interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly responses: Readonly<Record<string, unknown>>;
  readonly requestBody?: { readonly content: Record<string, { readonly schema: { readonly $ref?: string } }> };
}

interface Document {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: {
    readonly schemas: Record<string, { readonly properties?: Record<string, { readonly example?: unknown }> }>;
  };
}

/** What a client sends who has read the document, and one who has not. */
const nasty = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '',
    '0',
    '-1',
    '1e999',
    'null',
    '\u0000',
    '\ud800',
    '../..',
    "' OR 1=1 --",
    '{"$gt":""}',
    'a'.repeat(3_000),
    '%',
    '🙂',
  ),
  fc.integer().map(String),
);

const encoded = (text: string): string => encodeURIComponent(text.toWellFormed());

describe('hostile input', () => {
  let world: World;
  let gate: GateProcess;
  let practice: Practice;
  let document: Document;
  let tokens: string[];

  beforeAll(async () => {
    world = await World.create();
    practice = await seedPractice(world, 'p', { patients: 2, slots: 5 });
    gate = await world.start({ REDIS_DEADLINE_MS: '10000', THROTTLE_MODE: 'shadow' });
    document = (await call<Document>(gate, '/docs-json')).body;
    const workspace = await seedWorkspace(world, 'fuzz');
    tokens = [...(await tokensOf('practice_admin', 'operator', 'security_officer')), await botToken(gate, workspace)];
  });
  afterAll(() => world.end());

  const tokensOf = (...names: readonly string[]): Promise<string[]> =>
    Promise.all(
      names.map((role) =>
        tokenFor(gate, { sub: `user_${role}`, role, practice_id: practice.id, usage_plan: 'internal' }),
      ),
    );

  const operations = (): { method: string; path: string; operation: Operation }[] =>
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
    );

  /** A body near what the document describes: some fields right, some wrong, some more. */
  const bodyOf = ({ requestBody }: Operation): fc.Arbitrary<unknown> => {
    const reference = Object.values(requestBody?.content ?? {})[0]?.schema.$ref ?? '';
    const properties = document.components.schemas[reference.split('/').at(-1) ?? '']?.properties ?? {};
    const near = Object.fromEntries(
      Object.entries(properties).map(([name, { example }]) => [
        name,
        fc.oneof(fc.constant(example), fc.jsonValue(), nasty),
      ]),
    );
    return fc.oneof(
      fc.record(near, { requiredKeys: [] }),
      fc.jsonValue(),
      fc.record({ ...near, extra: fc.jsonValue() }),
    );
  };

  const assertTold = (answer: Answer, what: string, { responses }: Operation): void => {
    const told = `${what} → ${answer.status} ${answer.text.slice(0, 300)}`;
    if (!(answer.status in responses)) throw new Error(`not in the document: ${told}`);
    if (answer.status >= 500) throw new Error(told);
    if (answer.headers.get('x-correlation-id') === null || answer.headers.get('x-request-id') === null)
      throw new Error(`no ids: ${told}`);
    // Slack's methods say it in Slack's words.
    const isSaid =
      answer.body.ok === false
        ? typeof answer.body.error === 'string'
        : answer.body.correlationId !== undefined && answer.body.code !== undefined;
    if (answer.status >= 400 && !isSaid) throw new Error(`no problem: ${told}`);
    if (
      /\bat \/|node_modules|\.[jt]s:\d|SELECT |INSERT |\bpg_(?:catalog|class|proc|roles|stat|toast)|ioredis|typeorm/i.test(
        answer.text,
      )
    )
      throw new Error(`internals: ${told}`);
  };

  const operationOf = (path: string, method: string): Operation => {
    const operation = document.paths[path]?.[method];
    if (!operation) throw new Error(`The document knows no ${method} ${path}`);
    return operation;
  };
  const booking = (): Operation => operationOf('/appointments', 'post');

  it('finds an example for every path parameter in the document', () => {
    const parameters = operations().flatMap(({ path, operation }) =>
      (operation.parameters ?? []).filter((parameter) => parameter.in === 'path').map((own) => ({ path, ...own })),
    );
    expect(parameters.length).toBeGreaterThan(4);
    for (const { path, schema } of parameters) expect([path, schema?.example]).toEqual([path, expect.any(String)]);
  });

  it('never meets a 500, a status that the document does not list, a missing correlation id, or anything of our insides', async () => {
    const own = operations().filter(({ path }) => path !== '/metrics');
    expect(own.length).toBeGreaterThan(10);
    for (const { method, path, operation } of own) {
      const names = (place: Parameter['in']) =>
        (operation.parameters ?? []).filter((parameter) => parameter.in === place).map(({ name }) => name);
      const values = (list: string[]) =>
        fc.record(Object.fromEntries(list.map((name) => [name, nasty])), { requiredKeys: [] });
      await fc.assert(
        fc.asyncProperty(
          values(names('path')),
          fc.record(
            { ...Object.fromEntries(names('query').map((name) => [name, nasty])), other: nasty },
            { requiredKeys: [] },
          ),
          bodyOf(operation),
          fc.constantFrom(...tokens, undefined, 'garbage'),
          fc.boolean(),
          async (parameters, query, body, token, hasKey) => {
            const target = path.replaceAll(
              /\{(\w+)\}/g,
              (_, name: string) => encoded((parameters as Record<string, string>)[name] ?? 'x') || 'x',
            );
            const search = Object.entries(query)
              .map(([name, value]) => `${name}=${encoded(value)}`)
              .join('&');
            const answer = await call(gate, `${target}${search === '' ? '' : `?${search}`}`, {
              method,
              token,
              body: method === 'GET' ? undefined : (body ?? null),
              headers: { connection: 'close', ...(hasKey && { 'idempotency-key': 'fuzz' }) },
            });
            assertTold(answer, `${method} ${target}?${search} ${JSON.stringify(body)}`, operation);
          },
        ),
        { numRuns: 90 },
      );
    }
  }, 400_000);

  it.each(Object.entries(routeCases))(
    'refuses at %s a query parameter that nobody declared',
    async (_, { request }) => {
      const { path: target, ...options } = request('p', 1);
      const everybody = await tokensOf(...roles);
      for (const other of ['x', '__proto__']) {
        const query = `${target.includes('?') ? '&' : '?'}${other}`;
        const asEach = await Promise.all(
          everybody.map((token) => call(gate, `${target}${query}`, { ...options, token })),
        );
        // Who may not call it is told so, and no more.
        const admitted = asEach.filter(({ status }) => status !== 403);
        expect(admitted.length).toBeGreaterThan(0);
        for (const { status, body } of admitted) {
          const errors = expect.arrayContaining([{ path: `/${other}`, message: 'is not known here' }]) as unknown;
          expect([status, body]).toEqual([400, expect.objectContaining({ code: 'validation_failed', errors })]);
        }
      }
    },
  );

  it.each([
    ['malformed JSON', 400, '{"a":'],
    ['JSON of depth 10,000', 400, `${'['.repeat(10_000)}${']'.repeat(10_000)}`],
    ['an object of depth 5,000', 400, `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`],
    ['a body over the limit', 413, JSON.stringify({ patientId: 'a'.repeat(200_000) })],
    ['a bare null', 400, 'null'],
    ['no JSON at all', 400, 'hello'],
  ])('answers %s with %i', async (_, status, body) => {
    const answer = await call(gate, '/appointments', {
      body,
      token: tokens[0],
      headers: { 'idempotency-key': 'k', connection: 'close' },
    });
    expect(answer.status).toBe(status);
    assertTold(answer, body.slice(0, 50), booking());
  });

  it.each(['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'application/json; charset=utf-16'])(
    'refuses a body of type %s',
    async (type) => {
      const answer = await call(gate, '/appointments', {
        body: '{}',
        token: tokens[0],
        headers: { 'content-type': type, 'idempotency-key': 'k' },
      });
      expect(answer.status).toBe(415);
      assertTold(answer, type, booking());
    },
  );

  it.each([
    ['the firewall reads', 14_000],
    ['become no request', 40_000],
  ])('refuses headers that are too large, and says so as a problem: those that %s', async (_, bytes) => {
    const answer = await call(gate, '/me', {
      token: tokens[0],
      headers: { 'x-large': 'a'.repeat(bytes), 'x-larger': 'b'.repeat(bytes), connection: 'close' },
    });
    expect(answer.status).toBe(431);
    assertTold(answer, `two headers of ${bytes} bytes`, operationOf('/me', 'get'));
  });

  it('echoes a correlation id that is well-formed, and no other', async () => {
    const given = async (id: string) =>
      (await call(gate, '/me', { headers: { 'x-correlation-id': id } })).headers.get('x-correlation-id');
    expect(await given('order-7_A.b')).toBe('order-7_A.b');
    for (const wrong of ['a b', 'x'.repeat(129), 'é', 'a<script>', 'a;b']) expect(await given(wrong)).not.toBe(wrong);
  });
});
