import { isIPv4, isIPv6 } from 'node:net';
import type { GateRequest } from '../request-state';

/**
 * Whether a request comes from a page of this application itself (Swagger UI, the dashboard): its origin is the scheme and
 * the `Host` that it asks. That proves something only where no stranger can make the host's name point here: for
 * `localhost` and for an address. Any other name could be a stranger's that was rebound to our address by DNS, so the
 * application's own public name stands in `CORS_ORIGINS`.
 */
export function isOwnOrigin(origin: string, request: GateRequest): boolean {
  const { host } = request.headers;
  if (host === undefined || origin !== `${request.protocol}://${host}`) return false;
  const name = host.replace(/:\d{1,5}$/, '');
  return (
    name === 'localhost' || isIPv4(name) || (name.startsWith('[') && name.endsWith(']') && isIPv6(name.slice(1, -1)))
  );
}
