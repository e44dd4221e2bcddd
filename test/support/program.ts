import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { builtDir, root } from './places';
import type { World } from './world';

export interface Ended {
  readonly code: number | null;
  /** Everything it wrote. */
  readonly output: string;
}

/** A program that runs. */
export interface Running {
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
}

/** Starts an operator's program of the build in a world. */
export function startProgram(
  world: World,
  name: string,
  args: readonly string[] = [],
  environment: Record<string, string> = {},
): Running {
  const child = spawn(process.execPath, [join(builtDir, `${name}.js`), ...args], {
    cwd: root,
    env: { PATH: process.env.PATH, NODE_ENV: 'test', ...world.environment, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, output }));
  return { kill: (signal) => void child.kill(signal), ended };
}

/** Runs an operator's program to its end. */
export function runProgram(...program: Parameters<typeof startProgram>): Promise<Ended> {
  return startProgram(...program).ended;
}
