import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import { sentenceOf } from './failure';
import { type Ground, prepareGround } from './ground';
import { Config } from './platform/config';

/** Progress, for people. */
export const say = (line: string) => process.stderr.write(`gatehouse: ${line}\n`);

/**
 * Runs an operator's program on the servers that the environment names, or on the embedded ones, and ends the process: when
 * the work is done, or at SIGINT and SIGTERM, with the exit code of a shell (128 and the signal's number).
 * @param work answers the exit code; what it must not leave behind goes when `interrupted` aborts, synchronously
 */
export function runProgram(
  environment: Readonly<Record<string, string | undefined>>,
  work: (config: Config, interrupted: AbortSignal) => Promise<number>,
): void {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const interruption = new AbortController();
  let ground: Ground | undefined;
  const end = async (code: number) => {
    try {
      await ground?.stop();
      process.exit(code);
    } catch (error) {
      process.exit(failed(error));
    }
  };
  const run = async () => {
    ground = await prepareGround(Config.from(environment), say);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        say(`ended by ${signal}`);
        interruption.abort();
        void end(128 + constants.signals[signal]);
      });
    }
    return work(ground.config, interruption.signal);
  };
  void run()
    .catch((error: unknown) => (interruption.signal.aborted ? 1 : failed(error)))
    // Interrupted, the process is ending already, and what the work still says is of no use.
    .then((code) => (interruption.signal.aborted ? undefined : end(code)));
}

function failed(error: unknown): number {
  say(sentenceOf(error));
  return 1;
}

/** What the command line gives for each of these options, all of which take a text. @throws Error that ends with the usage */
export function optionsOf<const Name extends string>(usage: string, names: readonly Name[]) {
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  try {
    return parseArgs({ options }).values as Readonly<Partial<Record<Name, string>>>;
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}. ${usage}`, { cause: error });
  }
}

/** A setting that the program cannot do without. @throws Error that names it */
export function needed(config: Config, name: 'DATABASE_URL' | 'DATABASE_SYSTEM_URL' | 'DATABASE_ADMIN_URL'): string {
  const value = config.get(name);
  if (value === undefined) throw new Error(`${name} is unset`);
  return value;
}
