// @ts-check
/** Gatehouse itself, as `npm run build` leaves it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../places.mjs';
import { startServer } from '../servers.mjs';

/**
 * @param {{ dataDir: string, name?: string, role?: 'api' | 'worker' | 'all', env?: Record<string, string>, everyCore?: boolean }} options `dataDir` of the ground, whose embedded servers it shares.
 */
export async function startOurs({ dataDir, name = 'ours', role = 'api', env = {}, everyCore = false }) {
  if (!existsSync(join(root, 'dist', 'main.js')))
    throw new Error('no dist/main.js: run `npm run build` in the root first (`--peers` measures the peers alone)');
  const server = await startServer({
    name,
    everyCore,
    args: [join(root, 'dist', 'main.js')],
    env: {
      NODE_ENV: 'development', // for the development issuer; production would ask for a real one
      GATEHOUSE_ROLE: role,
      DATA_DIR: dataDir,
      LOG_LEVEL: 'info',
      LOG_FORMAT: 'json',
      // All load comes from one address: its limit is checked on every request, and must not be what is measured.
      FIREWALL_IP_PER_SECOND: '1000000',
      FIREWALL_IP_BURST: '1000000',
      ...env,
    },
    readyPath: '/health/ready',
  });
  return {
    ...server,
    /** @param {Record<string, unknown>} claims */
    async token(claims) {
      const response = await fetch(`${server.url}/dev/tokens`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ expiresInSeconds: 43_200, ...claims }),
      });
      if (!response.ok) throw new Error(`POST /dev/tokens: ${response.status} ${await response.text()}`);
      const { access_token } = /** @type {{ access_token: string }} */ (await response.json());
      return access_token;
    },
    /** The value of a counter in `/metrics`, over all its labels. @param {string} name */
    async counter(name) {
      const response = await fetch(`${server.url}/metrics`);
      const lines = (await response.text())
        .split('\n')
        .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
      if (lines.length === 0) throw new Error(`/metrics has no ${name}`);
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
  };
}
