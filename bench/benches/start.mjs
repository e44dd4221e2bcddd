// @ts-check
/**
 * `npm run start:dev` until `/health/ready` answers 200, in a copy of the working tree with the installed modules: cold (nothing built, no data, as after clone and install), then warm.
 * Goals: ≤ 10 s cold, ≤ 5 s warm.
 */
import { cpSync, readdirSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { sample } from '../measure.mjs';
import { root, scratch } from '../places.mjs';
import { startServer } from '../servers.mjs';

const GOALS = { cold: 10, warm: 5 };
const NOT_COPIED = new Set(['.git', '.gatehouse', 'node_modules', 'dist', 'bench', 'coverage']);

/** @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Report>} */
export default async function start(options) {
  if (options.peersOnly) throw new Error('there is no peer here');
  const copy = join(scratch, 'start');
  const seconds = { cold: /** @type {number[]} */ ([]), warm: /** @type {number[]} */ ([]) };
  try {
    for (let round = 0; round < options.rounds; round++) {
      rmSync(copy, { recursive: true, force: true });
      mkdirSync(copy, { recursive: true });
      for (const name of readdirSync(root))
        if (!NOT_COPIED.has(name)) cpSync(join(root, name), join(copy, name), { recursive: true });
      symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
      for (const state of /** @type {const} */ (['cold', 'warm'])) {
        const server = await startServer({
          name: `start-${state}`,
          command: 'npm',
          args: ['run', 'start:dev'],
          cwd: copy,
          env: { DATA_DIR: join(copy, '.gatehouse') },
          readyPath: '/health/ready',
          ownGroup: true,
          everyCore: true,
        });
        seconds[state].push(server.readyAfterMs / 1000);
        await server.stop();
      }
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
  return {
    rows: /** @type {const} */ (['cold', 'warm']).map((state) => {
      const ours = sample(seconds[state]);
      return {
        what: `npm run start:dev, ${state}`,
        unit: 's to ready',
        ours,
        peer: '',
        theirs: null,
        ratio: null,
        goal: `≤ ${GOALS[state]} s`,
        met: ours.median <= GOALS[state],
      };
    }),
    notes: ['on all cores: nothing else is to be measured beside it'],
  };
}
