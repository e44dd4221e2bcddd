import { Test } from '@nestjs/testing';
import { AppModule } from '../src/app.module';
import { Config } from '../src/platform/config';
import { type Role, roles } from '../src/policy/auth/caller';
import { type RoutePolicies, Routes } from '../src/policy/routes';
import { type Answer, call, tokenFor } from './support/api';
import type { GateProcess } from './support/process';
import { routeCases, seedSubjects, subjectCount } from './support/route-requests';
import { until } from './support/until';
import { World } from './support/world';

/** Who calls: each role, a token that names no role, and nobody. */
const callers = [...roles, 'no role', 'no token'] as const;
type CallerName = (typeof callers)[number];
const subjects = ['own', 'foreign'] as const;

/** What a change would change, whoever's it is; no worker runs, so nothing else changes it. */
const tables = [
  'patients',
  'appointments',
  'slots',
  'outbox_events',
  'event_deliveries',
  'idempotency_records',
  'revocations',
  'app_plans',
];

describe('every route, as every role, about what is its own and what is another practice’s', () => {
  let world: World;
  let gate: GateProcess;
  let routes: ReadonlyMap<string, RoutePolicies>;
  let close: () => Promise<void>;
  const tokens = new Map<CallerName, string | undefined>([['no token', undefined]]);
  const done = new Set<string>();
  /** By route, the code that a caller without a token got. */
  const refusalsOfUnknown = new Map<string, string>();
  /** By correlation id, the entries of what a role was refused. */
  const attempts = new Map<string, unknown[]>();
  let taken = 0;

  const digest = async (): Promise<unknown> => {
    const parts = tables.map(
      (table) => `SELECT '${table}' AS name, md5(string_agg(t::text, ',' ORDER BY t::text)) AS sum FROM ${table} t`,
    );
    return world.sql(parts.join(' UNION ALL '));
  };
  const refusalsOf = (correlationId: string) =>
    world.sql(
      `SELECT body ->> 'route' AS route, body ->> 'code' AS code, body ->> 'subjectPractice' AS "subjectPractice" FROM audit_entries
       WHERE practice_id = 'practice_ours' AND body ->> 'correlationId' = $1 AND outcome = 'refused' ORDER BY seq`,
      [correlationId],
    );

  const usesOf = (correlationId: string) =>
    world.sql(
      `SELECT body ->> 'action' AS action, body ->> 'route' AS route FROM audit_entries
       WHERE body ->> 'correlationId' = $1 AND outcome = 'allowed'`,
      [correlationId],
    );

  beforeAll(async () => {
    world = await World.create();
    const config = Config.from({ ...world.environment, NODE_ENV: 'test', LOG_LEVEL: 'silent' });
    const module = await Test.createTestingModule({ imports: [await AppModule.register(config)] }).compile();
    const all = module.get(Routes).all();
    // Those of workspaces have a matrix of their own (messaging-isolation); a method that there is not does nothing.
    const others = all.filter(({ tenant, path }) => tenant !== 'workspace' && path !== '/api/:method');
    routes = new Map(others.map((route) => [route.name, route]));
    close = () => module.close();
    await seedSubjects(world, 'ours');
    await seedSubjects(world, 'theirs');
    gate = await world.start({ GATEHOUSE_ROLE: 'api' });
    const claims = { sub: 'user_of_ours', practice_id: 'practice_ours', usage_plan: 'internal' };
    for (const role of [...roles, null]) tokens.set(role ?? 'no role', await tokenFor(gate, { ...claims, role }));
    // Something of theirs in the audit log, which the officer of ours must not see.
    const theirs = { ...claims, sub: 'user_of_theirs', practice_id: 'practice_theirs', role: 'provider' };
    const read = await call(gate, '/patients/pat_theirs1', { token: await tokenFor(gate, theirs) });
    expect(read.status).toBe(200);
  });
  afterAll(async () => {
    await close();
    await world.end();
  });

  const routeOf = (name: string): RoutePolicies => {
    const route = routes.get(name);
    if (!route) throw new Error(`There is no route ${name}`);
    return route;
  };
  const isAdmitted = ({ public: isPublic, roles: allowed }: RoutePolicies, caller: CallerName): boolean => {
    if (isPublic !== undefined) return true;
    if (caller === 'no token') return false;
    return allowed === undefined || (allowed as readonly string[]).includes(caller);
  };
  /** Calls the route about the next subject of a practice; `done` remembers that it was. */
  const attempt = async (name: string, caller: CallerName, of: (typeof subjects)[number]) => {
    const { request } = routeCases[name] ?? {};
    if (!request) throw new Error(`Nobody said how ${name} is called`);
    taken = (taken % subjectCount) + 1;
    done.add(`${name} ${caller} ${of}`);
    const { path, ...options } = request(of === 'own' ? 'ours' : 'theirs', taken);
    const correlationId = `matrix-${done.size}`;
    const headers = { ...options.headers, 'x-correlation-id': correlationId };
    const answer = await call(gate, path, { ...options, token: tokens.get(caller), headers });
    // What the caller said himself may come back; everything else of theirs names them.
    const said = answer.text.replaceAll(path, '');
    return { answer, correlationId, said };
  };
  const expectNothingOfTheirs = (said: string) => {
    expect(said).not.toMatch(/theirs(first|last|@| insurance)|user_of_theirs|(pat|slot|appt)_theirs/);
  };
  const expectDone = ({ answer }: RoutePolicies, { status, text }: Answer) => {
    expect([status, text]).toEqual([answer?.status ?? 200, text]);
  };

  it('none is missing: the table says of every route how it is called', () => {
    expect(Object.keys(routeCases).sort()).toEqual([...routes.keys()].sort());
  });

  describe.each(Object.keys(routeCases))('%s', (name) => {
    const foreign = routeCases[name]?.foreign;

    it('refuses whoever has not the role, tells them nothing and does nothing', async () => {
      const route = routeOf(name);
      const before = await digest();
      for (const caller of callers.filter((candidate) => !isAdmitted(route, candidate))) {
        for (const of of subjects) {
          const { answer, correlationId, said } = await attempt(name, caller, of);
          expect([caller, of, answer.status]).toEqual([caller, of, caller === 'no token' ? 401 : 403]);
          expectNothingOfTheirs(said);
          if (caller === 'no token') refusalsOfUnknown.set(name, String(answer.body.code));
          else {
            expect(answer.body.code).toBe('insufficient_role');
            const refusal = { route: name, code: 'insufficient_role', subjectPractice: null };
            expect((await refusalsOf(correlationId))[0]).toEqual(refusal);
            const isAttempt = of === 'foreign' && foreign === 'refused';
            attempts.set(correlationId, [
              refusal,
              ...(isAttempt ? [{ ...refusal, code: 'cross_practice', subjectPractice: 'practice_theirs' }] : []),
            ]);
          }
        }
      }
      expect(await digest()).toEqual(before);
    });

    it('serves who may, about what is their own', async () => {
      const route = routeOf(name);
      for (const caller of callers.filter((candidate) => isAdmitted(route, candidate))) {
        const { answer, correlationId } = await attempt(name, caller, 'own');
        expectDone(route, answer);
        const uses = await usesOf(correlationId);
        expect([caller, uses]).toEqual([caller, route.audited ? [{ action: route.audited.action, route: name }] : []]);
        if (foreign === 'invisible') expect(answer.text).toContain('ours'); // the same search of theirs will not be empty
      }
    });

    it('gives who may nothing of another practice', async () => {
      const route = routeOf(name);
      // What has no tenant has no foreign subject either: an operator's reach is declared on the route.
      if (foreign === 'refused' || foreign === 'invisible') expect(route.tenant).toBe('practice');
      const before = await digest();
      for (const caller of callers.filter((candidate) => isAdmitted(route, candidate))) {
        const { answer, correlationId, said } = await attempt(name, caller, 'foreign');
        if (foreign === 'refused') {
          expect([caller, answer.status, answer.body.code]).toEqual([caller, 403, 'forbidden']);
          expect(said).not.toContain('theirs');
          expect(await refusalsOf(correlationId)).toEqual([
            { route: name, code: 'cross_practice', subjectPractice: 'practice_theirs' },
          ]);
        } else {
          expectDone(route, answer);
          if (foreign === 'invisible' && !name.startsWith('GET /audit')) expect(said).not.toContain('theirs');
          if (route.tenant !== undefined) expect(said).not.toMatch(/theirs(first|last|@| insurance)|user_of_theirs/);
        }
      }
      if (foreign !== 'none') expect(await digest()).toEqual(before);
    });

    it('knows no id that nobody has', async () => {
      const route = routeOf(name);
      if (foreign !== 'refused' || !route.path.includes(':id')) return;
      const [caller] = callers.filter((candidate) => isAdmitted(route, candidate)) as Role[];
      const { path, ...options } = routeCases[name]?.request('nobody', 1) ?? { path: '' };
      const { status } = await call(gate, path, { ...options, token: tokens.get(caller ?? 'no role') });
      expect(status).toBe(404);
    });
  });

  it('counts what an unknown caller was refused, by route, for the platform', async () => {
    expect(refusalsOfUnknown.size).toBeGreaterThan(0);
    let missing: unknown[] = [];
    await until(
      async () => {
        missing = await world.sql(
          `SELECT route, code FROM unnest($1::text[], $2::text[]) refused (route, code)
           EXCEPT SELECT body ->> 'route', body ->> 'code' FROM audit_entries WHERE practice_id = 'platform'`,
          [[...refusalsOfUnknown.keys()], [...refusalsOfUnknown.values()]],
        );
        return missing.length === 0;
      },
      30_000,
      () => `no entry of ${JSON.stringify(missing)}`,
    );
  });

  it('finds out whose it was that a role was refused, and that alone is an attempt across practices', async () => {
    const found = [...attempts.values()].filter((entries) => entries.length === 2).length;
    expect(found).toBeGreaterThan(20);
    await until(async () => {
      const [row] = await world.sql<{ n: number }>(
        `SELECT count(*)::int AS n FROM audit_entries WHERE body ->> 'code' = 'cross_practice' AND body ->> 'correlationId' = ANY ($1)`,
        [[...attempts.keys()]],
      );
      return (row?.n ?? 0) >= found;
    });
    for (const [correlationId, entries] of attempts) {
      expect([correlationId, await refusalsOf(correlationId)]).toEqual([correlationId, entries]);
    }
  });

  it('has tried every combination', () => {
    expect(done.size).toBe(routes.size * callers.length * subjects.length);
  });
});
