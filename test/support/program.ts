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

/** Runs an operator's program of the build in a world, to its end. */
export async function runProgram(
  world: World,
  name: string,
  args: readonly string[] = [],
  environment: Record<string, string> = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [join(builtDir, `${name}.js`), ...args], {
    cwd: root,
    env: { PATH: process.env.PATH, NODE_ENV: 'test', ...world.environment, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}
