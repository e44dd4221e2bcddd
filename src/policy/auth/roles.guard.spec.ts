import type { ExecutionContext } from '@nestjs/common';
import type { PolicyRefusal } from '../errors/policy-refusal';
import type { RoutePolicies } from '../routes';
import type { Caller } from './caller';
import { RolesGuard } from './roles.guard';

const guard = new RolesGuard();

/** What the guard says of a caller before a route: `true`, or its refusal. */
function verdict(caller: Partial<Caller> | undefined, route: Partial<RoutePolicies>): true | PolicyRefusal {
  const request = { gate: { caller: caller && { scopes: [], ...caller }, route } };
  const context = { switchToHttp: () => ({ getRequest: () => request }) } as unknown as ExecutionContext;
  try {
    expect(guard.canActivate(context)).toBe(true);
    return true;
  } catch (error) {
    return error as PolicyRefusal;
  }
}

it('lets any caller through where the route names no role and no scope', () => {
  expect(verdict({}, {})).toBe(true);
});

it('lets everyone through on a public route', () => {
  expect(verdict(undefined, { public: 'health probe', roles: ['operator'] })).toBe(true);
});

it.each([
  ['operator', true],
  ['editor', true],
  ['rider', false],
  [undefined, false],
] as const)('before a route of operators and editors: role %s → %s', (role, passes) => {
  const answer = verdict({ role }, { roles: ['operator', 'editor'] });
  if (passes) expect(answer).toBe(true);
  else expect(answer).toMatchObject({ status: 403, code: 'insufficient_role' });
});

it('says which roles may, and neither who asked nor with which role', () => {
  const refused = verdict({ role: 'rider', userId: 'user_1' }, { roles: ['operator', 'editor'] });
  const detail = 'The role of the caller does not allow this; it takes one of: operator, editor';
  expect(refused).toMatchObject({ detail, extras: {} });
});

it('asks for any one of the scopes, and names them in the challenge', () => {
  const route = { scopes: ['accounts:read', 'payments:write'] };
  expect(verdict({ scopes: ['other', 'payments:write'] }, route)).toBe(true);
  for (const scopes of [[], ['accounts'], ['accounts:read:all'], ['ACCOUNTS:READ']]) {
    expect(verdict({ scopes }, route)).toMatchObject({
      status: 403,
      code: 'insufficient_scope',
      extras: {
        headers: {
          'WWW-Authenticate': expect.stringMatching(
            /^Bearer .*error="insufficient_scope".*scope="accounts:read payments:write"$/,
          ) as string,
        },
      },
    });
  }
});

it('asks for the role and the scope where a route names both', () => {
  const route = { roles: ['operator'], scopes: ['a'] } as const;
  expect(verdict({ role: 'operator', scopes: ['a'] }, route)).toBe(true);
  expect(verdict({ role: 'operator' }, route)).toMatchObject({ code: 'insufficient_scope' });
  expect(verdict({ role: 'rider', scopes: ['a'] }, route)).toMatchObject({ code: 'insufficient_role' });
});
