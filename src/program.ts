import { existsSync } from 'node:fs';
import { type Ground, prepareGround } from './ground';
import { Config } from './platform/config';

/** Progress, for people. */
export const say = (line: string) => process.stderr.write(`gatehouse: ${line}\n`);

/**
 * Runs an operator's program on the servers that the environment names, or on the embedded ones, and ends the process.
 * @param work answers the exit code
 */
export function runProgram(
  environment: Readonly<Record<string, string | undefined>>,
  work: (config: Config) => Promise<number>,
): void {
  if (existsSync('.env')) process.loadEnvFile('.env');
  let ground: Ground | undefined;
  const run = async () => {
    ground = await prepareGround(Config.from(environment), say);
    return work(ground.config);
  };
  run()
    .catch((error: unknown) => {
      say(error instanceof Error ? error.message : String(error));
      return 1;
    })
    .then(async (code) => {
      await ground?.stop();
      process.exit(code);
    })
    .catch((error: unknown) => {
      say(error instanceof Error ? error.message : String(error));
      process.exit(1);
    });
}

/** A setting that the program cannot do without. @throws Error that names it */
export function needed(config: Config, name: 'DATABASE_URL' | 'DATABASE_SYSTEM_URL' | 'DATABASE_ADMIN_URL'): string {
  const value = config.get(name);
  if (value === undefined) throw new Error(`${name} is unset`);
  return value;
}
