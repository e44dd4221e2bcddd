// Checks the subject of every commit that can be seen from HEAD (in a shallow clone: those that were fetched).
import { spawnSync } from 'node:child_process';

const notChecked = 77;

/** @param {string[]} args */
function git(...args) {
  const { status, stdout } = spawnSync('git', args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  return status === 0 ? stdout : undefined;
}

/** @param {string[]} args @param {string} [input] */
function commitlint(args, input) {
  const { status } = spawnSync('npx', ['--no-install', 'commitlint', ...args], {
    input,
    stdio: [input === undefined ? 'ignore' : 'pipe', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  return status === 0;
}

const commits = git('rev-list', 'HEAD')?.trim().split('\n');
if (!commits) {
  process.stdout.write('This is no git checkout with a commit: there are no subjects to check\n');
  process.exit(notChecked);
}
const first = commits.at(-1) ?? 'HEAD';
// A range leaves its start out, so the first commit is read by itself.
const results = [commitlint([], git('log', '-1', '--format=%B', first))];
if (commits.length > 1) results.push(commitlint(['--from', first, '--to', 'HEAD']));
process.stdout.write(`${commits.length} commits looked at\n`);
process.exitCode = results.every(Boolean) ? 0 : 1;
