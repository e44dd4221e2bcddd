import type { Config } from '../../platform/config';
export function serverLimits(_config: Config): { options: object; onClientError: (error: Error, socket: import('node:stream').Duplex) => void } {
  return { options: {}, onClientError: (_e, s) => s.destroy() };
}
