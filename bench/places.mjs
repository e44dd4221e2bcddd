// @ts-check
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

/** The repository. */
export const root = fileURLToPath(new URL('..', import.meta.url));
/** Everything a bench leaves behind, but for its result. */
export const scratch = join(root, '.gatehouse', 'bench');

/** Which cores a kind of process runs on; `undefined` where nothing can be pinned. */
export const cores = layOut(allowedCores());

/** @param {number[] | undefined} list */
function layOut(list) {
  if (list === undefined || list.length < 2) return undefined;
  const [server, load, ...rest] = list;
  // With two or three cores Postgres, Redis and upstreams share with the load generator, never with the server under test.
  return { server: String(server), load: String(load), ground: (rest.length > 0 ? rest : [load]).join(',') };
}

function allowedCores() {
  try {
    const text = execFileSync('taskset', ['-pc', String(process.pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return text
      .slice(text.lastIndexOf(':') + 1)
      .trim()
      .split(',')
      .flatMap((part) => {
        const [from, to = from] = part.split('-').map(Number);
        return Array.from({ length: to - from + 1 }, (_, i) => from + i);
      });
  } catch {
    return undefined;
  }
}

/**
 * @typedef {'server' | 'load' | 'ground' | 'every'} Place `ground`: databases, upstreams, whatever is not measured itself;
 * `every`: where the kernel puts it, as on a machine that nobody divided.
 */

/**
 * The command line that runs `command` on the cores of its kind.
 * @param {Place} place @param {string} command @param {string[]} args
 * @returns {[string, string[]]}
 */
export function pinned(place, command, args) {
  return cores === undefined || place === 'every'
    ? [command, args]
    : ['taskset', ['-c', cores[place], command, ...args]];
}

/**
 * Whom a process goes before on its core: `first`, everybody (what measures delays must not wait behind what it measures);
 * `last`, nobody (what only floods); without, as all do.
 * @typedef {'first' | 'last' | undefined} Rank
 */

/**
 * The command line that runs `command` with that rank. `first` needs root, and is as all others are without.
 * @param {Rank} rank @param {string} command @param {string[]} args
 * @returns {[string, string[]]}
 */
export function ranked(rank, command, args) {
  if (rank === 'first' && mayGoFirst) return ['nice', ['-n', '-10', command, ...args]];
  if (rank === 'last') return ['nice', ['-n', '10', command, ...args]];
  return [command, args];
}

const niceness = { first: -10, last: 10 };

/**
 * Where the kernel shares a core among sessions first ("autogroup") and by niceness only within each, a rank holds for the
 * session: the process must lead one of its own.
 * @param {Rank} rank @param {number | undefined} leader
 */
export function rankGroup(rank, leader) {
  const file = `/proc/${leader}/autogroup`;
  if (rank === undefined || (rank === 'first' && !mayGoFirst) || !existsSync(file)) return;
  writeFileSync(file, String(niceness[rank]));
}

// Without the right to it, "nice" runs the command all the same: so it is asked which rank it got.
const mayGoFirst = spawnSync('nice', ['-n', '-10', 'nice'], { encoding: 'utf8' }).stdout?.trim() === '-10';

export const pinning =
  cores === undefined
    ? 'not pinned (no taskset, or one core): figures scatter more'
    : `pinned with taskset: server on core ${cores.server}, load generator on ${cores.load}, databases and upstreams on ${cores.ground}` +
      (mayGoFirst
        ? ''
        : '; the generator that measures delays has no right to go first (nice -10): delays count its own waits');
