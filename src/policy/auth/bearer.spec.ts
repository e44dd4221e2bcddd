import type { IncomingMessage } from 'node:http';
import type { PolicyRefusal } from '../errors/policy-refusal';
import { bearerToken, isCompactJws } from './bearer';

/** As Node gives it: the first value in `headers`, all of them in `rawHeaders`. */
function requestWith(authorizations: string[], url = '/me'): IncomingMessage {
  const rawHeaders = ['Host', 'x', ...authorizations.flatMap((value) => ['Authorization', value])];
  return { url, rawHeaders, headers: { authorization: authorizations[0] } } as IncomingMessage;
}

function challengeOf(request: IncomingMessage): string | undefined {
  try {
    bearerToken(request);
    return undefined;
  } catch (error) {
    expect((error as PolicyRefusal).status).toBe(401);
    return (error as PolicyRefusal).extras.headers?.['WWW-Authenticate'];
  }
}

it.each(['Bearer a.b.c', 'bearer a.b.c', 'BEARER a.b.c', 'Bearer   a.b.c'])('takes the token of “%s”', (value) => {
  expect(bearerToken(requestWith([value]))).toBe('a.b.c');
});

it.each([[[]], [['Basic YTpi']], [['Digest x']], [['Bearerx a.b.c']]])(
  'tells no error where no token came: %j',
  (values) => {
    expect(challengeOf(requestWith(values))).toBe('Bearer realm="gatehouse"');
  },
);

it.each(['Bearer', 'Bearer ', 'bearer   ', `Bearer ${'x'.repeat(8_193)}`])('calls “%.20s” malformed', (value) => {
  expect(challengeOf(requestWith([value]))).toContain('error="invalid_request"');
});

it('refuses several Authorization headers, equal ones too', () => {
  expect(challengeOf(requestWith(['Bearer a.b.c', 'Bearer a.b.c']))).toContain('error="invalid_request"');
});

it.each(['/me?access_token=a.b.c', '/me?x=1&access_token=a', '/me?ACCESS_TOKEN=a&access_token=b'])(
  'refuses a token in the query: %s',
  (url) => {
    expect(challengeOf(requestWith([], url))).toContain('error="invalid_request"');
    expect(challengeOf(requestWith(['Bearer a.b.c'], url))).toContain('error="invalid_request"');
  },
);

it('minds no other parameter whose name ends so', () => {
  expect(bearerToken(requestWith(['Bearer a.b.c'], '/me?my_access_token=1&q=access_token'))).toBe('a.b.c');
});

it.each([
  ['a.b.c', true],
  ['a-_9.b.c', true],
  ['a.b', false],
  ['a.b.c.d', false],
  ['a.b.c ', false],
  ['a.b.ü', false],
  ['..', false],
])('sees whether “%s” has the form of a signed token: %s', (token, expected) => {
  expect(isCompactJws(token)).toBe(expected);
});
